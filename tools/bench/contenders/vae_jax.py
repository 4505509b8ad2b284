"""The VAE's step in a scan of JAX."""

import jax
import jax.numpy as jnp
from inputs import batches, digits
from work import Size, Work

from contenders.vae_shape import BATCH, DATA, DECAY_STEPS, initial_weights


def scan(size: Size) -> Work:
    steps, rows = size.of(100, 5), digits()
    resident = jnp.asarray(rows)

    def body(weights: list, h: jax.Array, layers: range) -> jax.Array:
        for layer in layers:
            h = h @ weights[layer] + weights[6 + layer]
            if layer != layers[-1]:
                h = jax.nn.gelu(h, approximate=False)
        return h

    def loss(weights: list, x: jax.Array, key: jax.Array) -> jax.Array:
        mean, pre_scale = jnp.split(body(weights, x, range(3)), 2, axis=-1)
        scale = jax.nn.softplus(pre_scale) + 1e-4
        logits = body(weights, mean + scale * jax.random.normal(key, mean.shape), range(3, 6))
        distortion = jnp.sum(jnp.maximum(logits, 0) - logits * x + jnp.log1p(jnp.exp(-jnp.abs(logits))), axis=-1)
        return jnp.mean(distortion + jnp.sum((mean**2 + scale**2 - 1) / 2 - jnp.log(scale), axis=-1))

    def step(state: tuple, positions: jax.Array) -> tuple[tuple, jax.Array]:
        weights, first, second, number = state
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number))
        x = (jax.random.uniform(keys[0], (BATCH, DATA)) < resident[positions]).astype(jnp.float32)
        value, gradients = jax.value_and_grad(loss)(weights, x, keys[1])
        t = (number + 1).astype(jnp.float32)
        rate_now = 1e-3 * 0.5 * (1 + jnp.cos(jnp.pi * t / DECAY_STEPS)) * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        first = [m + (g - m) * 0.1 for m, g in zip(first, gradients, strict=True)]
        second = [v + (g * g - v) * 0.001 for v, g in zip(second, gradients, strict=True)]
        moved = [w - rate_now * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)]
        return (moved, first, second, number + 1), value

    weights = [jnp.asarray(w) for w in initial_weights()]
    first, second = ([jnp.zeros_like(w) for w in weights] for _ in range(2))  # donated, so each needs its own
    holder = {"state": (weights, first, second, jnp.asarray(0))}
    compiled = jax.jit(lambda state, positions: jax.lax.scan(step, state, positions), donate_argnums=0)
    positions = batches(len(rows), (steps, BATCH))

    def call() -> float:
        holder["state"], values = compiled(holder["state"], jnp.asarray(positions()))
        return float(jnp.mean(values))

    return Work(call, steps)
