"""A comparison as CSV, Markdown and LaTeX."""

import csv
import io
import re
from collections.abc import Sequence

from tfdgm.comparisons.ranking import LEVEL, Mark
from tfdgm.comparisons.run_groups import RunGroup
from tfdgm.comparisons.score_table import ScoreTable

TIED = f"not distinguished from the best by Welch's t-test at level {LEVEL}"


def csv_of(groups: Sequence[RunGroup]) -> str:
    """Return CSV with a row for each run: its group, workdir, seed, settings that differ, and every score, unrounded.

    `pandas.read_csv(file).groupby("group").agg(["mean", "std"])` repeats the table of means.
    """
    runs = [run for group in groups for run in group.runs]
    settings = list(dict.fromkeys(name for group in groups for name in group.settings))
    scores = list(dict.fromkeys(name for run in runs for name in run.scores))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["group", "workdir", "seed", *settings, "step", "data_split", "num_examples", *scores])
    for group in groups:
        for run in group.runs:
            facts = [run.evaluation.get(name, "") for name in ("step", "data_split", "num_examples")]
            seed = "" if run.seed is None else run.seed
            values = [run.scores.get(name, "") for name in scores]
            writer.writerow([group.name, run.path, seed, *(group.settings[name] for name in settings), *facts, *values])
    return text.getvalue()


def markdown_of(table: ScoreTable) -> str:
    """Return a Markdown table with the best in bold and what is tied with it in italics, then the remarks."""
    styles: dict[Mark, str] = {"best": "**", "tied": "*", "": ""}
    heads = [f"`{name}`{' ' * bool(quantity.arrow)}{quantity.arrow}" for name, quantity in table.scores.items()]
    rows = [["runs", "seeds", "step", *heads], ["---", *["---:"] * (2 + len(heads))]]
    for group, cells in zip(table.groups, table.cells, strict=True):
        texts = [f"{styles[mark]}{text}{styles[mark]}" for text, mark in cells]
        rows.append([_escaped(group.name), str(len(group.runs)), group.steps, *texts])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    legend = _legend(table, "**bold**: best", f"*italics*: {TIED}")
    return "\n".join([*lines, "", f"{legend}.", *_listed(table.remarks)]) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([\\|*_`<])", r"\\\1", text.replace("\n", " "))


def _listed(lines: Sequence[str]) -> list[str]:
    return ["", *(f"- {_escaped(line)}" for line in lines)] if lines else []


def _legend(table: ScoreTable, best: str, tied: str) -> str:
    text = table.legend
    text += f"; {best}" if table.uses("best") else ""
    text += f"; {tied}" if table.uses("tied") else ""
    return text[0].upper() + text[1:]


def latex_of(table: ScoreTable) -> str:
    """Return a `tabular` with rules of the package booktabs; the best is bold, and what is tied with it underlined."""
    styles: dict[Mark, str] = {"best": "\\textbf{%s}", "tied": "\\underline{%s}", "": "%s"}
    arrows = {"larger": " $\\uparrow$", "smaller": " $\\downarrow$", None: ""}
    heads = [f"{_latex(name)}{arrows[quantity.better]}" for name, quantity in table.scores.items()]
    rows = []
    for group, cells in zip(table.groups, table.cells, strict=True):
        texts = [styles[mark] % _latex(text) if text else "" for text, mark in cells]
        rows.append([_latex(group.name), str(len(group.runs)), *texts])
    legend = _legend(table, "\\textbf{bold}: best", f"\\underline{{underlined}}: {_latex(TIED)}")
    lines = [
        "% \\usepackage{booktabs}",
        f"% {legend.replace('±', '+-')}.",
        *(f"% {' '.join(line.split())}" for line in table.remarks),
        f"\\begin{{tabular}}{{l{'r' * (1 + len(heads))}}}",
        "\\toprule",
        " & ".join(["runs", "seeds", *heads]) + " \\\\",
        "\\midrule",
        *(" & ".join(row) + " \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


#: LaTeX by character. Minus signs of numbers only: a hyphen in a name is none.
_LATEX = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    **{character: f"\\{character}" for character in "_%&#$"},
}


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text.replace("\n", " "))
    return re.sub(r"(?<![\w.])-(?=[\d.])", "$-$", escaped)
