"""The VAE's step in PyTorch, eager and by `torch.compile`, with its fused Adam."""

import math

import torch
import torch.nn.functional as F
from inputs import batches, digits
from work import Size, Work

from contenders.vae_shape import BATCH, DATA, DECAY_STEPS, LATENT, initial_weights


def eager(size: Size) -> Work:
    return steps_of(size, compiled=False)


def compiled(size: Size) -> Work:
    return steps_of(size, compiled=True)


def steps_of(size: Size, compiled: bool) -> Work:
    steps, rows = size.of(100, 5), torch.from_numpy(digits())
    weights = [torch.nn.Parameter(torch.from_numpy(w)) for w in initial_weights()]
    kernels, biases = weights[:6], weights[6:]

    def body(h: torch.Tensor, layers: range) -> torch.Tensor:
        for layer in layers:
            h = torch.addmm(biases[layer], h, kernels[layer])
            if layer != layers[-1]:
                h = F.gelu(h)
        return h

    def loss(probabilities: torch.Tensor) -> torch.Tensor:
        x = (torch.rand(BATCH, DATA) < probabilities).float()
        mean, pre_scale = body(x, range(3)).chunk(2, dim=-1)
        scale = F.softplus(pre_scale) + 1e-4
        logits = body(mean + scale * torch.randn(BATCH, LATENT), range(3, 6))
        distortion = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        return (distortion + ((mean**2 + scale**2 - 1) / 2 - scale.log()).sum(-1)).mean()

    optimizer = torch.optim.Adam(weights, lr=1e-3, eps=1e-7, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: 0.5 * (1 + math.cos(math.pi * min(t, DECAY_STEPS) / DECAY_STEPS))
    )
    value_of = torch.compile(loss) if compiled else loss
    positions = batches(len(rows), (steps, BATCH))

    def call() -> float:
        total = torch.zeros([])
        for batch in torch.from_numpy(positions()).long():
            value = value_of(rows[batch])
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
            total += value.detach()
        return float(total) / steps

    return Work(call, steps)
