"""Requirements for every figure of a lab."""

from matplotlib.figure import Figure


def assert_readable(figure: Figure) -> None:
    """Assert 1600 x 900 pixels, a label on every axis with numbers, and no text below 14 points."""
    assert tuple(figure.get_size_inches() * figure.dpi) == (1600, 900)
    figure.canvas.draw()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            numbers = [label for label in axis.get_ticklabels() if label.get_visible() and label.get_text()]
            assert axis.label.get_text() or not numbers
            for text in (*numbers, axis.label, axes.title, *axes.texts):
                assert text.get_fontsize() >= 14
