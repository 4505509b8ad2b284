"""The sizes of the GAN and the WGAN-GP on the ring, for those that write them by hand.

Networks have three hidden layers of 128, the batch is 256. A step of the GAN is one move of the discriminator and one
of the generator, both with the non-saturating loss; a step of the WGAN-GP is five moves of the critic, each with its
gradient penalty, and one of the generator.
"""

import itertools

import numpy as np
from inputs import layers

BATCH, LATENT, HIDDEN, DECAY_STEPS, RATE = 256, 2, 128, 40_000, 3e-3
MOVES = {"GAN": 1, "WGAN-GP": 5}
STEPS = {"GAN": (100, 3), "WGAN-GP": (20, 2)}


def initial_weights(outputs: int) -> list[np.ndarray]:
    """Return kernels, then biases, of the critic (one output) or the generator (two)."""
    return layers(list(itertools.pairwise([2, HIDDEN, HIDDEN, HIDDEN, outputs])), seed=outputs)
