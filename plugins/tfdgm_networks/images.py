"""Which shapes are images, and the sizes between two of them."""

from tfdgm import DataSpec, UserError

Size = tuple[int, int]
Image = tuple[int, int, int]


def as_image(shape: tuple[int, ...], data: DataSpec) -> Image | None:
    """(height, width, channels) of a shape of three axes, and of x however the data stores it; None for vectors.

    Likelihoods that want several outputs for every element of x ask for them on a last axis; they become channels.
    """
    if data.image_shape is not None and shape[: len(data.shape)] == data.shape:
        height, width = data.image_shape[:2]
        channels = data.size // (height * width)
        for extra in shape[len(data.shape) :]:
            channels *= extra
        return height, width, channels
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None


def halvings(size: Size) -> list[Size]:
    """The size, half of it rounded up, and so on down to one pixel."""
    sizes = [size]
    while max(sizes[-1]) > 1:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def path(source: Image | None, target: Image | None, smallest: int, speaker: str) -> list[Size]:
    """Sizes from input to output; a vector stands at the first size of at most `smallest` pixels a side.

    Raises:
      UserError: neither is an image, or halving one does not reach the other.
    """
    image = source or target
    if image is None:
        raise UserError(f"{speaker} needs an image as input or output; use network.mlp")
    if source is None or target is None:
        sizes = halvings(image[:2])
        coarsest = next(number for number, size in enumerate(sizes) if max(size) <= smallest)
        down = sizes[: coarsest + 1]
        return down if target is None else down[::-1]
    large, small = sorted((source[:2], target[:2]), reverse=True)
    sizes = halvings(large)
    if small not in sizes:
        reachable = ", ".join(f"{height} x {width}" for height, width in sizes)
        raise UserError(
            f"{speaker}: an image of {large[0]} x {large[1]} cannot be halved to {small[0]} x {small[1]}; "
            f"halving, rounded up, gives {reachable}"
        )
    down = sizes[: sizes.index(small) + 1]
    return down if source[:2] == large else down[::-1]
