"""The cells of a sweep: combinations of values of what it varies, each only where the configuration reads it."""

import dataclasses
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfdgm.configuration.gin_parser import own, read_statements
from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell, CellSettings, StudyKind
from tfdgm.studies.varied import Varied

#: The longest part of a folder's name that shows values; file systems allow 255 bytes.
_LONGEST_LABEL = 120
#: A reference to a plugin, `@KIND.NAME()`, of which tables show the name.
_REFERENCE = re.compile(r"@\w+\.([\w.]+)\(\)")
_MOST_CELLS = 10_000


@dataclasses.dataclass(frozen=True)
class SweepCell(Cell):
    """One combination of values, and a seed.

    Attributes:
      names: of what the sweep varies, as in configs.
      texts: the gin text of each value; empty where the configuration does not read it.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    seed: int

    @property
    def columns(self) -> tuple[str, ...]:
        return short_names(self.names)

    @property
    def combination(self) -> tuple[str, ...]:
        return tuple(_REFERENCE.sub(r"\1", text) for text in self.texts)

    @property
    def title(self) -> tuple[str, str]:
        named = zip(self.columns, self.combination, strict=True)
        return "Combinations", ", ".join(f"{name} {text}" for name, text in named if text)

    @property
    def label(self) -> str:
        """Values by name; what a file system does not allow, or a long text, is told apart by a digest."""
        named = zip(self.columns, self.combination, strict=True)
        text = ",".join(f"{name}={value}" for name, value in named if value)
        if len(text) <= _LONGEST_LABEL and re.fullmatch(r"[\w.,=+-]*", text, re.ASCII):
            return text
        digest = hashlib.sha256(repr(self.texts).encode()).hexdigest()[:8]
        return f"{text[:_LONGEST_LABEL]}-{digest}"

    def bindings(self) -> list[str]:
        return [f"{name} = {text}" for name, text in zip(self.names, self.texts, strict=True) if text]

    def record(self) -> dict[str, Any]:
        return {"settings": dict(zip(self.names, self.texts, strict=True)), "seed": self.seed}

    def sort_key(self) -> tuple:
        """Numbers are ordered as such."""
        return tuple(_order(text) for text in self.texts), self.seed

    def __str__(self) -> str:
        return f"{self.title[1]}, seed {self.seed}"


def _order(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _read(entry: Mapping[str, Any]) -> SweepCell:
    settings = entry["settings"]
    if not all(isinstance(text, str) for text in (*settings, *settings.values())):
        raise TypeError("a setting is not a text")
    return SweepCell(tuple(settings), tuple(settings.values()), int(entry["seed"]))


SWEEP = StudyKind("sweep", _read)


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the last part of each name, or the whole of those that share it."""
    last = [name.rpartition(".")[2] for name in names]
    shared = Counter(last)
    return tuple(short if shared[short] == 1 else name for short, name in zip(last, names, strict=True))


def check_names(varied: Sequence[Varied], settings: CellSettings) -> None:
    """Check that every name and value may stand in the configuration, without TensorFlow.

    Raises:
      UserError: one may not, or the shared bindings set what is varied.
    """
    for each in varied:
        for binding in settings.bindings:
            if re.match(rf"\s*{re.escape(each.name)}\s*=", binding):
                raise UserError(f"--gin_bindings: {binding.strip()}\n  --vary sets {each.name} too; remove one of them")
        ends = [repr(each.interval.low), repr(each.interval.high)] if each.interval and not each.values else []
        for text in [*each.values, *ends]:
            read_statements(settings.files, [*settings.bindings, f"{each.name} = {text}"], prefer=own)


def combination_of(
    varied: Sequence[Varied], settings: CellSettings, choose: Callable[[Varied], str]
) -> tuple[str, ...]:
    """Choose a value of everything that the configuration reads; the texts of the others are empty.

    What chooses plugins is chosen first, since a parameter of a plugin is read only where the plugin is chosen.
    """
    texts: dict[str, str] = {}
    for each in sorted(varied, key=lambda each: not each.chooses_plugins):
        if each.chooses_plugins or _is_read(each, settings, texts):
            texts[each.name] = choose(each)
    return tuple(texts.get(each.name, "") for each in varied)


def _is_read(each: Varied, settings: CellSettings, texts: Mapping[str, str]) -> bool:
    if each.selector in (None, "experiment"):
        return True
    bindings = [*settings.bindings, *(f"{name} = {text}" for name, text in texts.items())]
    return each.selector in read_statements(settings.files, bindings, prefer=own).reachable()


def given(texts: Mapping[str, str]) -> Callable[[Varied], str]:
    """Return the choice of these texts, by name."""
    return lambda each: texts[each.name]


def grid(varied: Sequence[Varied], settings: CellSettings, seeds: Sequence[int]) -> list[SweepCell]:
    """Return every combination of values with every seed: the first seed of each before the second of any.

    Raises:
      UserError: a range has no number of values, there are too many cells, or nothing reads what is varied.
    """
    for each in varied:
        if not each.values:
            raise UserError(
                f"--vary: {each.name} has a range without a number of values; give it one, as in "
                "linear(0, 1, 5), or search the range with --trials=N --goal=..."
            )
    total = len(seeds)
    for each in varied:
        total *= len(each.values)
    if total > _MOST_CELLS:
        raise UserError(f"--vary: the grid has {total:,} cells; at most {_MOST_CELLS:,} are allowed")
    names = tuple(each.name for each in varied)
    combinations: dict[tuple[str, ...], None] = {}
    for values in itertools.product(*(each.values for each in varied)):
        combinations[combination_of(varied, settings, given(dict(zip(names, values, strict=True))))] = None
    for place, name in enumerate(names):
        if not any(texts[place] for texts in combinations):
            raise UserError(f"--vary: nothing in the configuration reads {name}; choose what does with another --vary")
    return [SweepCell(names, texts, seed) for seed in seeds for texts in combinations]
