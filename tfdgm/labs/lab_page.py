"""`index.html`: one self-contained page of labs, with their pictures, tables and checks."""

import dataclasses
from collections.abc import Sequence

from tfdgm.labs.lab import Lab, LabResult, as_text, columns_of
from tfdgm.reporting.html import render
from tfdgm.system.durations import duration


@dataclasses.dataclass(frozen=True)
class Entry:
    """A lab that has run: its result, its picture as PNG, and its duration in seconds."""

    lab: Lab
    result: LabResult
    picture: bytes
    seconds: float


def page(entries: Sequence[Entry]) -> str:
    """Return the page; its links go to files in the same folder."""
    return render(
        "lab.html", title="tfdgm lab", entries=entries, columns_of=columns_of, as_text=as_text, duration=duration
    )
