"""tfdgm lab               list the demonstrations
tfdgm lab NAME          run one demonstration and write NAME.csv and NAME.png
tfdgm lab --all         run all of them and write index.html too, a page of all results

With --check the exit code is 1 if a result deviates from theory.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfdgm.cli.folder_flags import define_trust_flag
from tfdgm.errors import UserError, did_you_mean
from tfdgm.labs import LABS
from tfdgm.system.console import complain, print_table, say
from tfdgm.system.durations import duration
from tfdgm.system.files import write_text
from tfdgm.system.ownership import check_ownership
from tfdgm.system.runtime import import_tensorflow

if TYPE_CHECKING:
    from tfdgm.labs.lab import Check
    from tfdgm.labs.lab_page import Entry

POSITIONAL = True
EXAMPLES = (
    "tfdgm lab prior_gap --output=runs/lab",
    "tfdgm lab --all --check",
)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("output", "runs/lab", "folder for tables and pictures", flag_values=values)
    flags.DEFINE_bool("check", False, "exit with 1 if a result deviates from theory", flag_values=values)
    flags.DEFINE_bool("all", False, "run every lab and write a page of all results", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of every training and draw", flag_values=values)
    define_trust_flag(values)
    flags.DEFINE_multi_string(
        "gin_bindings", [], "gin statement for every config of the lab; may be repeated", flag_values=values
    )


def complete(words: Sequence[str]) -> list[str]:
    """Return what may follow `tfdgm lab`."""
    return [] if words else list(LABS)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    if len(positional) > 1 or (positional and values.all):
        raise UserError("tfdgm lab takes one NAME, or --all")
    for name in positional:
        if name not in LABS:
            raise UserError(f"there is no lab {name!r}. {did_you_mean(name, LABS)}")
    if not 0 <= values.seed < 2**31:
        raise UserError(f"--seed must be in [0, 2^31), got {values.seed}")
    if not positional and not values.all:
        for name, title in LABS.items():
            print(f"{name:<22} {title}")
        return 0
    folder = Path(values.output)
    check_ownership(folder, trusted=values.trust_workdir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        import_tensorflow()
        entries = [run(name, folder, values) for name in positional or LABS]
        if values.all:
            from tfdgm.labs.lab_page import page

            write_text(folder / "index.html", page(entries))
            say(f"written to {folder / 'index.html'}")
    except OSError as error:
        raise UserError(f"--output: {folder} cannot be written: {error.strerror or error}") from None
    failed = [f"{entry.lab.name}: {each.what}" for entry in entries for each in entry.result.checks if not each.passed]
    for line in failed:
        complain(f"not as expected: {line}")
    return 1 if failed and values.check else 0


def run(name: str, folder: Path, values: flags.FlagValues) -> "Entry":
    """Run one lab, and write its table and picture."""
    from tfdgm.labs.figures import save, slides
    from tfdgm.labs.lab import LabSettings, load_lab, write_table
    from tfdgm.labs.lab_page import Entry

    lab = load_lab(name)
    say(f"{name}: {lab.title}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, slides():
        settings = LabSettings(Path(scratch), values.seed, values.gin_bindings, _quiet)
        result = lab.run(settings)
        save(result.figure, folder / f"{name}.png")
    write_table(folder / f"{name}.csv", result.rows)
    print_checks(result.checks)
    seconds = time.monotonic() - began
    say(f"written to {folder / name}.csv and .png in {duration(seconds)}")
    return Entry(lab, result, (folder / f"{name}.png").read_bytes(), seconds)


def _quiet(line: str) -> None:
    """Print nothing: a lab may train many models, each for seconds."""


def print_checks(checks: Sequence["Check"]) -> None:
    """Print a table of checks."""
    rows = [(check.what, check.expected, check.result, "ok" if check.passed else "OFF") for check in checks]
    print_table(("check", "expected", "result", ""), rows)
