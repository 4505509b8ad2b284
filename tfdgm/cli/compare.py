"""Shows the scores of runs side by side as mean ± standard deviation over seeds with the best marked, and the settings
that differ. Each argument is a workdir, a folder of workdirs, or the folder of a matrix. Runs that differ in the seed
only are one group, and groups are named by the settings in which they differ.

--output writes the table too: .html (a page with curves and samples), .md, .tex (package booktabs), or .csv (a row for
each run).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from tfdgm.comparisons.compared_run import read_runs
from tfdgm.comparisons.run_groups import group_runs
from tfdgm.comparisons.score_table import ALL, ScoreTable, score_table
from tfdgm.comparisons.table_formats import csv_of, latex_of, markdown_of
from tfdgm.comparisons.terminal_table import print_comparison
from tfdgm.errors import UserError
from tfdgm.system.console import complain, say, warn
from tfdgm.system.files import write_text

POSITIONAL = True
#: Whether its arguments are folders, for the completion of shells.
FOLDERS = True
EXAMPLES = (
    "tfdgm compare runs/first runs/second",
    "tfdgm compare runs/* --show=elbo,nll_iwae --output=table.tex",
    "tfdgm compare runs/matrix --output=matrix.html --output=matrix.csv",
)


def _page(table: ScoreTable, path: Path) -> str:
    from tfdgm.comparisons.comparison_page import page_of  # not at the top: other formats need no templates

    return page_of(table, path.parent)


#: The text of a table in a file, by the suffix of its name.
_FORMATS: dict[str, Callable[[ScoreTable, Path], str]] = {
    ".html": _page,
    ".md": lambda table, path: markdown_of(table),
    ".tex": lambda table, path: latex_of(table),
    ".csv": lambda table, path: csv_of(table.groups),
}


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "output", [], f"file to write, {', '.join(_FORMATS)}; may be repeated", flag_values=values
    )
    flags.DEFINE_multi_string(
        "show",
        [],
        f"keys of eval.json to show, comma separated or repeated; {ALL} for every one; the main scores by default",
        flag_values=values,
    )


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    outputs = [Path(name) for name in values.output]
    for path in outputs:
        if path.suffix not in _FORMATS:
            raise UserError(f"--output: the name of the file must end in {', '.join(_FORMATS)}, got {str(path)!r}")
    if not positional:
        raise UserError("tfdgm compare takes the folders of runs: tfdgm compare DIR ...")
    runs, problems = read_runs([Path(name) for name in positional])
    if not runs:
        raise UserError("\n  ".join(["there is no run to compare:", *problems]))
    groups = group_runs(runs)
    names = [name.strip() for text in values.show for name in text.split(",") if name.strip()]
    table = score_table(groups, names)
    print_comparison(table)
    for line in table.remarks:
        warn(line)
    for path in outputs:
        try:
            write_text(path, _FORMATS[path.suffix](table, path))
        except OSError as error:
            raise UserError(f"--output: {path} could not be written: {error.strerror or error}") from None
        say(f"written to {path}")
    for problem in problems:
        complain(problem)
    return 2 if problems else 0
