"""The sizes of the VAE of digits/vae.gin, for those that write it by hand."""

import numpy as np
from inputs import layers

DATA, HIDDEN, LATENT, BATCH, DECAY_STEPS = 64, 256, 8, 128, 10_000
SIZES = [(DATA, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, DATA)]


def initial_weights() -> list[np.ndarray]:
    """Return the kernels of the encoder's and the decoder's layers, then their biases."""
    return layers(SIZES)
