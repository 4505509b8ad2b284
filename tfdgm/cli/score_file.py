"""Write the scores of `tfdgm eval --output` as JSON, CSV, Markdown or LaTeX."""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError
from tfdgm.system import strict_json
from tfdgm.system.files import write_text

_SUFFIXES = (".json", ".csv", ".md", ".tex")
_COLUMNS = ("score", "value", "better", "unit")
_NOT_SCORES = ("step", "num_examples", "data_split")


def check_score_file(output: Path, workdir: Path) -> None:
    """Refuse a file that cannot be written, or that may be one of the run's own.

    Raises:
      UserError: unknown suffix, no such folder, or a JSON or existing file in the run's folder.
    """
    if output.suffix not in _SUFFIXES:
        raise UserError(f"--output must name a {', '.join(_SUFFIXES[:-1])} or .tex file, got {str(output)!r}")
    if not output.parent.is_dir():
        raise UserError(f"--output: there is no folder {output.parent}")
    if output.is_dir():
        raise UserError(f"--output: {output} is a folder")
    inside = workdir.resolve() in output.resolve().parents
    if inside and (output.suffix == ".json" or output.exists()):
        raise UserError(f"--output: {output} may be a file of the run itself; choose a file outside of {workdir}")


def write_scores(output: Path, scores: Mapping[str, Any], quantities: Mapping[str, Quantity]) -> None:
    """Write scores to a file that `check_score_file` accepted.

    JSON is the object of `eval.json`; CSV has every digit; Markdown and LaTeX (a `tabular`) round to four decimals.

    Raises:
      UserError: the file could not be written.
    """
    try:
        write_text(output, _text(output.suffix, scores, quantities))
    except OSError as error:
        raise UserError(f"the scores could not be written to {output}: {error.strerror or error}") from None


def numbers_of(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores that are numbers, without those that say what was scored."""
    return {key: value for key, value in scores.items() if key not in _NOT_SCORES and not isinstance(value, str)}


def rounded(value: Any) -> str:
    """Return a number with four decimals, or an integer as it is."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _text(suffix: str, scores: Mapping[str, Any], quantities: Mapping[str, Quantity]) -> str:
    if suffix == ".json":
        return strict_json.dumps(scores, indent=2) + "\n"
    exact = suffix == ".csv"
    rows = []
    for key, value in numbers_of(scores).items():
        quantity = quantities.get(key, Quantity("", ""))
        rows.append((key, str(value) if exact else rounded(value), quantity.better or "", quantity.unit))
    if exact:
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *rows])
        return file.getvalue()
    if suffix == ".md":
        lines = [_COLUMNS, (":--", "--:", ":--", ":--"), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)
    head, *body = (f"{' & '.join(map(_escaped, row))} \\\\\n" for row in [_COLUMNS, *rows])
    return f"\\begin{{tabular}}{{lrll}}\n\\hline\n{head}\\hline\n{''.join(body)}\\hline\n\\end{{tabular}}\n"


def _escaped(text: str) -> str:
    """Return a text for LaTeX."""
    text = re.sub(r"[#$%&_{}]", r"\\\g<0>", text.replace("\\", "/"))
    return text.replace("^", "\\^{}").replace("~", "\\~{}")
