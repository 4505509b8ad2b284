"""The figures as one picture."""

from pathlib import Path
from typing import Any

from cases import CASES, OURS
from curves import CURVES

BLUE, ORANGE = "#2a6f97", "#d1792b"
OTHERS = ("#d1792b", "#5b8c5a", "#a4508b", "#c0392b", "#7f6a3a", "#3d3d3d", "#b0a030", "#6a6ad0")


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the picture; parts that were not measured leave their panels away."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [steps] if any(len(own) > 1 for own in results.get("steps", {}).values()) else []
    panels += [starting] if results.get("starting") else []
    curves = results.get("growth", {})
    wide = -(-len(curves) // 4) if curves else 0
    if not panels and not curves:
        return
    heights = ([4.2] if panels else []) + [2.3] * wide
    figure = plt.figure(figsize=(12, sum(heights) + 0.4), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    rows = [grid[number] for number in range(len(heights))]
    if panels:
        columns = rows[0].subgridspec(1, len(panels))
        for number, panel in enumerate(panels):
            panel(figure.add_subplot(columns[number]), results)
    small = [figure.add_subplot(cell) for row in rows[bool(panels) :] for cell in row.subgridspec(1, 4)]
    for number, (axes, (name, points)) in enumerate(zip(small, curves.items(), strict=False)):
        curve(axes, CURVES[name].title, points, legend=number == 0)
    spare = small[len(curves) :]
    if spare and results.get("steps", {}).get("vae"):
        memory(spare.pop(0), results)
    for axes in spare:
        axes.remove()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def steps(axes: Any, results: dict[str, Any]) -> None:
    """Time of each contender by that of tfdgm."""
    cases = {name: own for name, own in results["steps"].items() if len(own) > 1 and OURS in own}
    names = list(dict.fromkeys(who for own in cases.values() for who in own if who != OURS))
    for number, (who, colour) in enumerate(zip(names, OTHERS, strict=False)):
        beside = 0.5 * (number / len(names) - 0.5)  # so that equal times stay apart
        at = [row + beside for row, own in enumerate(cases.values()) if who in own]
        times = [1 / own[who]["ratio"] for own in cases.values() if who in own]
        axes.plot(times, at, "o", color=colour, label=who, markersize=7, alpha=0.9)
    axes.axvline(1.0, color=BLUE, linewidth=2, label=OURS, zorder=0)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cases)), [CASES[name].title for name in cases])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xlabel("time / time of tfdgm")
    axes.set_title("steps, densities and draws: right of the line is slower than tfdgm", fontsize=10, loc="left")
    axes.grid(axis="x", which="both", alpha=0.2)
    plain_numbers(axes.xaxis)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def plain_numbers(axis: Any) -> None:
    """Label a logarithmic axis at 1, 2, 5, 10 and so on."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def starting(axes: Any, results: dict[str, Any]) -> None:
    """Seconds to the first loop and to step 1,000."""
    own = results["starting"]
    first = [figures["first_loop"] for figures in own.values()]
    rest = [figures["step_1000"] - figures["first_loop"] for figures in own.values()]
    rows = range(len(own))
    axes.barh(rows, first, color=BLUE, label="to step 100")
    axes.barh(rows, rest, left=first, color=ORANGE, label="to step 1,000")
    axes.set_yticks(rows, list(own))
    axes.invert_yaxis()
    axes.set_xlabel("seconds from the start of the process")
    axes.set_title("starting, digits/vae.gin", fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc="lower right")


def memory(axes: Any, results: dict[str, Any]) -> None:
    """Peak memory of the processes that train the VAE."""
    own = results["steps"]["vae"]
    axes.barh(range(len(own)), [figures["peak_megabytes"] for figures in own.values()], color=BLUE)
    axes.set_yticks(range(len(own)), list(own))
    axes.invert_yaxis()
    axes.set_title("peak memory, digits/vae.gin, MB", fontsize=9, loc="left")
    axes.tick_params(labelsize=7)


def curve(axes: Any, title: str, points: dict[str, dict[str, float]], legend: bool) -> None:
    """Milliseconds of a step, and seconds of compilation, against one setting."""
    values = [int(value) for value in points]
    axes.plot(values, [own["median"] / 1e3 for own in points.values()], "o-", color=BLUE, label="ms a step")
    axes.plot(values, [own["compile"] for own in points.values()], "s--", color=ORANGE, label="s to compile")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(values, [str(value) for value in values])
    axes.xaxis.minorticks_off()
    axes.set_title(title, fontsize=9, loc="left")
    axes.grid(alpha=0.2)
    plain_numbers(axes.yaxis)
    axes.tick_params(labelsize=7)
    if legend:
        axes.legend(fontsize=7)
