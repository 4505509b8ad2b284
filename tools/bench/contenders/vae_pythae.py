"""The VAE's step in pythae's own trainer, with networks of the same sizes; its pixels stay grey."""

import atexit
import contextlib
import io
import itertools
import logging
import tempfile

import torch
from inputs import digits
from work import Size, Work

from contenders.vae_shape import BATCH, DATA, HIDDEN, LATENT

with contextlib.redirect_stdout(io.StringIO()):
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig


def body(inputs: int) -> torch.nn.Sequential:
    sizes = [inputs, HIDDEN, HIDDEN]
    layers = [[torch.nn.Linear(a, b), torch.nn.GELU()] for a, b in itertools.pairwise(sizes)]
    return torch.nn.Sequential(*(layer for pair in layers for layer in pair))


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.mean, self.log_variance = body(DATA), *(torch.nn.Linear(HIDDEN, LATENT) for _ in range(2))

    def forward(self, x: torch.Tensor) -> ModelOutput:
        hidden = self.body(x)
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_variance(hidden))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.exit = body(LATENT), torch.nn.Linear(HIDDEN, DATA)

    def forward(self, z: torch.Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.exit(self.body(z))))


def trainer(size: Size) -> Work:
    """A call is an epoch, over a whole number of batches."""
    rows = torch.from_numpy(digits()[: size.of(10, 1) * BATCH])
    config = VAEConfig(input_dim=(DATA,), latent_dim=LATENT, reconstruction_loss="bce")
    return epochs(VAE(config, Encoder(), Decoder()), rows, BATCH)


def epochs(model: torch.nn.Module, rows: torch.Tensor, batch: int) -> Work:
    """Return the epochs of pythae's trainer, which begin with its loader."""
    logging.disable(logging.INFO)
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    config = BaseTrainerConfig(
        output_dir=folder.name, per_device_train_batch_size=batch, learning_rate=1e-3, no_cuda=True
    )
    trained = BaseTrainer(model, BaseDataset(rows, torch.zeros(len(rows))), training_config=config)
    trained.prepare_training()
    trained.callback_handler.callbacks = []  # progress bars
    number = iter(range(1 << 30))
    return Work(lambda: float(trained.train_step(next(number))), len(rows) // batch)
