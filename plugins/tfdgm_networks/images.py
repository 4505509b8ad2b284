"""Which shapes are images, and the sequence of sizes between two images."""

from tfdgm import DataSpec, UserError

Size = tuple[int, int]
Image = tuple[int, int, int]


def as_image(shape: tuple[int, ...], data: DataSpec) -> Image | None:
    """Return (height, width, channels) for a shape of three axes or for x, however the data stores it; else None.

    A last axis of several outputs per element of x, as some likelihoods need, becomes channels.
    """
    if data.image_shape is not None and shape[: len(data.shape)] == data.shape:
        height, width = data.image_shape[:2]
        channels = data.size // (height * width)
        for extra in shape[len(data.shape) :]:
            channels *= extra
        return height, width, channels
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None


def halvings(size: Size) -> list[Size]:
    """Return the size, half of it rounded up, and so on down to one pixel."""
    sizes = [size]
    while max(sizes[-1]) > 1:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def path(source: Image | None, target: Image | None, smallest: int, network: str) -> list[Size]:
    """Return the sizes from input to output; a vector connects to the first size of at most `smallest` pixels a side.

    Args:
      source, target: the images, None for a vector.
      smallest: see above.
      network: name of the network in messages.

    Raises:
      UserError: neither is an image, or halving the larger does not give the smaller.
    """
    image = source or target
    if image is None:
        raise UserError(f"{network} requires an image as input or output; use network.mlp")
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
            f"{network}: an image of {large[0]} x {large[1]} cannot be halved to {small[0]} x {small[1]}; "
            f"halving with rounding up gives {reachable}"
        )
    down = sizes[: sizes.index(small) + 1]
    return down if source[:2] == large else down[::-1]
