"""tfdgm lab               what there is
tfdgm lab NAME          runs one demonstration and leaves NAME.csv and NAME.png
tfdgm lab --all         runs all of them and also leaves index.html, one page of them

With --check a result that is not what theory expects ends in exit code 1.
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
from tfdgm.system.files import write_text
from tfdgm.system.ownership import check_ownership
from tfdgm.system.runtime import import_tensorflow

if TYPE_CHECKING:
    from tfdgm.labs.lab import Check
    from tfdgm.labs.lab_page import Entry

POSITIONAL = True


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("output", "runs/lab", "folder for tables and pictures", flag_values=values)
    flags.DEFINE_bool("check", False, "exit with 1 where a result is not as expected", flag_values=values)
    flags.DEFINE_bool("all", False, "run every lab, and write one page of them", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of every training and draw", flag_values=values)
    define_trust_flag(values)
    flags.DEFINE_multi_string(
        "gin_bindings", [], "a gin statement for every config of the lab; may be repeated", flag_values=values
    )


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
    off = [f"{entry.lab.name}: {check.what}" for entry in entries for check in entry.outcome.checks if not check.passed]
    for line in off:
        complain(f"not as expected: {line}")
    return 1 if off and values.check else 0


def run(name: str, folder: Path, values: flags.FlagValues) -> "Entry":
    """Runs one lab, and writes its table and its picture."""
    from tfdgm.labs.figures import save, slides
    from tfdgm.labs.lab import LabSettings, load_lab, write_table
    from tfdgm.labs.lab_page import Entry

    lab = load_lab(name)
    say(f"{name}: {lab.title}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, slides():
        settings = LabSettings(Path(scratch), values.seed, values.gin_bindings, _quiet)
        outcome = lab.run(settings)
        save(outcome.figure, folder / f"{name}.png")
    write_table(folder / f"{name}.csv", outcome.rows)
    print_checks(outcome.checks)
    seconds = time.monotonic() - began
    say(f"written to {folder / name}.csv and .png in {seconds:.0f} s")
    return Entry(lab, outcome, (folder / f"{name}.png").read_bytes(), seconds)


def _quiet(line: str) -> None:
    """Trainings of a lab tell nothing: there may be many, each of seconds."""


def print_checks(checks: Sequence["Check"]) -> None:
    rows = [(check.what, check.expected, check.got, "ok" if check.passed else "OFF") for check in checks]
    print_table(("check", "expected", "got", ""), rows)
