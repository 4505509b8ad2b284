"""The product of matrices by which the machine's rate is measured."""

SIDE = 2_048


def product_flops() -> int:
    """Return 2 n^3, the floating-point operations of a product of two n x n matrices."""
    return 2 * SIDE**3
