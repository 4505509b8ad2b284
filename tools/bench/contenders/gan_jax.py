"""A GAN's and a WGAN-GP's step on the ring in a scan of JAX."""

import jax
import jax.numpy as jnp
from inputs import batches, ring
from work import Size, Work

from contenders.gan_shape import BATCH, DECAY_STEPS, LATENT, MOVES, RATE, STEPS, initial_weights


def gan(size: Size) -> Work:
    return scan("GAN", size)


def wgan_gp(size: Size) -> Work:
    return scan("WGAN-GP", size)


def scan(kind: str, size: Size) -> Work:
    moves, steps, resident = MOVES[kind], size.of(*STEPS[kind]), jnp.asarray(ring())

    def network(weights: list, h: jax.Array) -> jax.Array:
        for layer in range(4):
            h = h @ weights[layer] + weights[4 + layer]
            if layer < 3:
                h = jax.nn.relu(h)
        return h

    def apply(weights: list, second: list, gradients: list, t: jax.Array) -> tuple[list, list]:
        rate = RATE * 0.5 * (1 + jnp.cos(jnp.pi * t / DECAY_STEPS)) * jnp.sqrt(1 - 0.99**t)
        second = [v + (g * g - v) * 0.01 for v, g in zip(second, gradients, strict=True)]
        moved = [w - rate * g / (jnp.sqrt(v) + 1e-7) for w, g, v in zip(weights, gradients, second, strict=True)]
        return moved, second

    def critic_loss(critic: list, x: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
        real_scores, fake_scores = jnp.split(network(critic, jnp.concatenate([x, fake])), 2)
        if kind == "GAN":
            return jnp.mean(jax.nn.softplus(-real_scores) + jax.nn.softplus(fake_scores))
        between = fake + jax.random.uniform(key, (BATCH, 1)) * (x - fake)
        gradient = jax.grad(lambda points: jnp.sum(network(critic, points)))(between)
        slope = jnp.sqrt(jnp.sum(gradient**2, axis=1) + 1e-12)
        return jnp.mean(fake_scores - real_scores) + 10 * jnp.mean((slope - 1) ** 2)

    def generator_loss(generator: list, critic: list, key: jax.Array) -> jax.Array:
        scores = network(critic, network(generator, jax.random.normal(key, (BATCH, LATENT))))
        return jnp.mean(jax.nn.softplus(-scores) if kind == "GAN" else -scores)

    def step(state: tuple, positions: jax.Array) -> tuple[tuple, jax.Array]:
        critic, generator, critic_second, generator_second, number = state
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number), 2 * moves + 1)
        for move in range(moves):
            x = resident[positions[move]]
            fake = network(generator, jax.random.normal(keys[2 * move], (BATCH, LATENT)))
            gradients = jax.grad(critic_loss)(critic, x, fake, keys[2 * move + 1])
            critic, critic_second = apply(
                critic, critic_second, gradients, (number * moves + move + 1).astype(jnp.float32)
            )
        loss, gradients = jax.value_and_grad(generator_loss)(generator, critic, keys[2 * moves])
        generator, generator_second = apply(generator, generator_second, gradients, (number + 1).astype(jnp.float32))
        return (critic, generator, critic_second, generator_second, number + 1), loss

    critic, generator = ([jnp.asarray(w) for w in initial_weights(outputs)] for outputs in (1, 2))
    seconds = [[jnp.zeros_like(w) for w in weights] for weights in (critic, generator)]
    holder = {"state": (critic, generator, *seconds, jnp.asarray(0))}
    compiled = jax.jit(lambda state, positions: jax.lax.scan(step, state, positions), donate_argnums=0)

    positions = batches(len(resident), (steps, moves + 1, BATCH))

    def call() -> float:
        holder["state"], values = compiled(holder["state"], jnp.asarray(positions()))
        return float(jnp.mean(values))

    return Work(call, steps)
