"""Floating-point operations of a step, by formula: 2 for each weight and example that a product or convolution visits.

Element-wise work, draws and the optimizer are left out: they are what keeps a step from the machine's matrix rate. A
layer's gradient takes twice its forward pass, half of it for the weights and half for its input; where one of the two
is not needed it is not counted.
"""

from contenders.gan_shape import BATCH as PAIRS
from contenders.gan_shape import HIDDEN as CRITIC
from contenders.vae_shape import BATCH, DATA, HIDDEN, LATENT, SIZES


def weights(sizes: list[tuple[int, int]]) -> int:
    """Return the number of weights of dense layers, biases left out."""
    return sum(a * b for a, b in sizes)


def vae() -> int:
    """Forward 2 B W, gradient 4 B W without that of x."""
    return 6 * BATCH * weights(SIZES) - 2 * BATCH * DATA * HIDDEN


def body(outputs: int) -> int:
    return weights([(2, CRITIC), (CRITIC, CRITIC), (CRITIC, CRITIC), (CRITIC, outputs)])


def generator_move() -> int:
    """Generator there and back, critic there and back to its input only."""
    return 6 * PAIRS * body(2) - 2 * PAIRS * 2 * CRITIC + 4 * PAIRS * body(1)


def gan() -> int:
    """The discriminator sees two batches, and the generator makes one of them."""
    critic = 2 * PAIRS * (6 * body(1) - 2 * 2 * CRITIC)
    return critic + 2 * PAIRS * body(2) + generator_move()


def wgan_gp() -> int:
    """Five moves of the critic: two batches as in the GAN, and the penalty's pass, its slope, and their gradients."""
    scores = 2 * PAIRS * (6 * body(1) - 2 * 2 * CRITIC)
    penalty = PAIRS * 4 * body(1) + PAIRS * 8 * body(1)  # there and back, and each of the two there and back again
    return 5 * (scores + penalty + 2 * PAIRS * body(2)) + generator_move()


def maf(bijectors: int = 4, width: int = 128) -> int:
    """A network with two hidden layers for each bijector; masks are not counted as savings."""
    return 6 * BATCH * bijectors * weights([(LATENT, width), (width, width), (width, 2 * LATENT)])


def vqvae(prior: bool = True, batch: int = 32, width: int = 64, codes: int = 256, side: int = 8) -> int:
    """photos/vqvae.gin: convolutions, distances and totals of the codebook, and the autoregressive prior's decoder."""
    coarse = side**2 * (9 * width**2 + 2 * (9 + 1) * width**2)  # one 3 x 3, then two blocks of a 3 x 3 and a 1 x 1
    first, second = (2 * side) ** 2 * 16 * 3 * width // 2, side**2 * 16 * width // 2 * width
    networks = 3 * 2 * batch * 2 * (coarse + first + second) + 3 * 2 * batch * side**2 * width**2
    codebook = 2 * 2 * batch * side**2 * codes * width
    length = side**2
    block = 12 * width**2 + 2 * length * width
    decoder = 3 * 2 * batch * length * (2 * block + width * codes)
    return networks - 2 * batch * first + codebook + (decoder if prior else 0)


FLOPS = {
    "vae": vae(),
    "gan": gan(),
    "wgan_gp": wgan_gp(),
    "vqvae": vqvae(),
    "plain_vqvae": vqvae(prior=False),
    "vae_maf": vae() + maf(),
    "maf_density": maf(),
}
