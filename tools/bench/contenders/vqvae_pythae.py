"""The step of pythae's VQ-VAE in its own trainer, with the networks of photos/vqvae.gin: squared errors, no prior."""

import contextlib
import io

import torch
from inputs import patches
from work import Size, Work

from contenders.vae_pythae import epochs
from contenders.vqvae_torch import BATCH, CODES, decoder, encoder

with contextlib.redirect_stdout(io.StringIO()):
    from pythae.models import VQVAE, VQVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.latent_dim = encoder(), CODES

    def forward(self, x: torch.Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.body(x))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.body = decoder()

    def forward(self, z: torch.Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.body(z))


def trainer(size: Size) -> Work:
    """A call is an epoch, over a few batches."""
    rows = torch.from_numpy(patches()[: size.of(5, 1) * BATCH]).permute(0, 3, 1, 2).float() / 255
    config = VQVAEConfig(input_dim=(3, 32, 32), latent_dim=64, num_embeddings=CODES, use_ema=True, decay=0.99)
    return epochs(VQVAE(config, Encoder(), Decoder()), rows, BATCH)
