"""The step of photos/vqvae.gin in PyTorch, eager and by `torch.compile`: residual convolutions, 8 x 8 codes that follow
moving averages, a discretised logistic likelihood, and an autoregressive prior over the codes.
"""

import torch
import torch.nn.functional as F
from inputs import batches, patches
from torch import nn
from work import Size, Work

BATCH, WIDTH, CODES, SIDE, LEVELS, HEADS, DROPOUT, DECAY = 32, 64, 256, 8, 256, 4, 0.1, 0.99


class Residual(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x))))."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.mix = nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mix(F.relu(self.wide(F.relu(x))))


def coarse() -> list[nn.Module]:
    return [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), Residual(), Residual(), nn.ReLU()]


def encoder() -> nn.Sequential:
    down = [nn.Conv2d(3, WIDTH // 2, 4, 2, 1), nn.ReLU(), nn.Conv2d(WIDTH // 2, WIDTH, 4, 2, 1), nn.ReLU()]
    return nn.Sequential(*down, *coarse(), nn.Conv2d(WIDTH, WIDTH, 1))


def decoder() -> nn.Sequential:
    up = [nn.ConvTranspose2d(WIDTH, WIDTH // 2, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(WIDTH // 2, 3, 4, 2, 1)]
    return nn.Sequential(*coarse(), *up)


class Block(nn.Module):
    """Causal attention and a feed-forward network, normalised before."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.attend, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        batch, length, width = h.shape
        split = self.attend(self.norms[0](h)).view(batch, length, 3, HEADS, width // HEADS)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        attended = self.mix(attended.transpose(1, 2).reshape(batch, length, width))
        h = h + F.dropout(attended, DROPOUT)
        computed = self.narrow(F.gelu(self.widen(self.norms[1](h)), approximate="tanh"))
        return h + F.dropout(computed, DROPOUT)


class CodePrior(nn.Module):
    """log p(c) for codes `[batch, length]`."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings, self.places = nn.Embedding(CODES + 1, WIDTH), nn.Parameter(torch.zeros(SIDE**2, WIDTH))
        self.blocks = nn.Sequential(Block(), Block(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CODES))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        before = F.pad(codes[:, :-1], (1, 0), value=CODES)
        logits = self.blocks(self.embeddings(before) + self.places)
        return -F.cross_entropy(logits.transpose(1, 2), codes, reduction="none").sum(-1)


class Quantizer(nn.Module):
    """The nearest codes; the codebook follows moving averages, and codes that are not used restart."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codebook", torch.randn(CODES, WIDTH))
        self.register_buffer("counts", torch.ones(CODES))
        self.register_buffer("sums", self.codebook.clone())

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        distances = (self.codebook**2).sum(1) - 2 * z @ self.codebook.T
        codes = distances.argmin(-1)
        return codes, F.embedding(codes, self.codebook)

    @torch.no_grad()
    def absorb(self, z: torch.Tensor, codes: torch.Tensor) -> None:
        one_hot = F.one_hot(codes, CODES).float()
        counts = DECAY * self.counts + (1 - DECAY) * one_hot.sum(0)
        sums = DECAY * self.sums + (1 - DECAY) * one_hot.T @ z
        places = (sums + 1e-5 * self.codebook) / (counts + 1e-5)[:, None]
        dead = counts < 0.01 * counts.mean()
        candidates = z[torch.randint(len(z), (CODES,))]
        counts = torch.where(dead, counts.mean(), counts)
        places = torch.where(dead[:, None], candidates, places)
        self.counts.copy_(counts)
        self.codebook.copy_(places)
        self.sums.copy_(torch.where(dead[:, None], counts[:, None] * places, sums))


class VQVAE(nn.Module):
    """The loss of one batch of bytes `[batch, 3, 32, 32]`, and what the codebook then absorbs."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.prior, self.quantizer = encoder(), decoder(), CodePrior(), Quantizer()
        self.log_scale = nn.Parameter(torch.tensor(0.1).log())

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = rows.float()
        features = self.encoder(x / 255)
        z = features.permute(0, 2, 3, 1)
        codes, chosen = self.quantizer(z)
        commitment = ((z - chosen.detach()) ** 2).sum((1, 2, 3))
        decoded = self.decoder((z + (chosen - z).detach()).permute(0, 3, 1, 2))
        distortion = -log_prob_of_levels(x, decoded, self.log_scale).sum((1, 2, 3))
        loss = (distortion - self.prior(codes.flatten(1)) + 0.25 * commitment).mean()
        return loss, z.detach().reshape(-1, WIDTH), codes.flatten()


def log_prob_of_levels(k: torch.Tensor, outputs: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """log F(k + 1/2) - F(k - 1/2) of a logistic, in grey levels; the lowest and the highest level take the tails."""
    scale = (log_scale.exp() * (LEVELS - 1)).clamp(min=0.05)
    location = (LEVELS - 1) / 2 * (1 + outputs)
    inside = torch.log(-torch.expm1(-1 / scale))
    below_highest, above_lowest = k < LEVELS - 1, k > 0
    return (
        torch.where(below_highest, -F.softplus((location - k - 0.5) / scale), 0.0)
        + torch.where(above_lowest, -F.softplus((k - 0.5 - location) / scale), 0.0)
        + torch.where(above_lowest & below_highest, inside, 0.0)
    )


def eager(size: Size) -> Work:
    return steps_of(size, compiled=False)


def compiled(size: Size) -> Work:
    return steps_of(size, compiled=True)


def steps_of(size: Size, compiled: bool) -> Work:
    steps, rows = size.of(5, 1), torch.from_numpy(patches()).permute(0, 3, 1, 2)
    model = VQVAE().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)
    value_of = torch.compile(model) if compiled else model
    positions = batches(len(rows), (steps, BATCH))

    def call() -> float:
        total = 0.0
        for batch in torch.from_numpy(positions()).long():
            value, z, codes = value_of(rows[batch])
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            model.quantizer.absorb(z, codes)
            total += float(value.detach())
        return total / steps

    return Work(call, steps)
