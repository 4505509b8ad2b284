"""The cells of a matrix: enumerate the combinations, and derive the flags of `tfdgm train` for each."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tfdgm.configuration.shorthand import NONE, shorthand_bindings
from tfdgm.contracts.registry import Plugin, find, select
from tfdgm.errors import UserError, did_you_mean

#: The plugin kinds that a cell chooses, in the order of its name.
KINDS = ("posterior", "prior", "objective")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: a posterior or `none`, a prior, a list of objectives, and a seed; plugins are named as in configs."""

    posterior: str
    prior: str
    objectives: tuple[str, ...]
    seed: int

    @property
    def combination(self) -> tuple[str, str, str]:
        """Return posterior, prior and objectives as in tables."""
        return self.posterior, self.prior, "+".join(self.objectives)

    @property
    def name(self) -> str:
        """Return the name of the cell's folder and log."""
        return re.sub(r"[^\w.+-]", "_", "-".join([*self.combination, str(self.seed)]))

    @property
    def choices(self) -> list[str]:
        """Return `KIND.NAME` of every plugin that the cell chooses."""
        return [f"posterior.{self.posterior}", f"prior.{self.prior}", *(f"objective.{o}" for o in self.objectives)]

    def __str__(self) -> str:
        return f"{' '.join(self.combination)} seed {self.seed}"

    def sort_key(self) -> tuple:
        """Return the position in tables: cells without a posterior first, single objectives before pairs."""
        return self.posterior != NONE, self.posterior, len(self.objectives), self.objectives, self.prior, self.seed


@dataclasses.dataclass(frozen=True)
class CellSettings:
    """The settings that all cells share, and those that depend on a cell's choices.

    Attributes:
      files: config files of every cell.
      bindings: gin statements of every cell; they override files.
      files_by_choice: for each `KIND.NAME`, config files that cells with this choice read after `files`.
      extra_flags: further flags of every cell.
    """

    files: Sequence[str]
    bindings: Sequence[str] = ()
    files_by_choice: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    extra_flags: Sequence[str] = ()

    def flags(self, cell: Cell, workdir: Path) -> list[str]:
        """Return the flags of `tfdgm train` that train the cell in `workdir`."""
        return [
            f"--workdir={workdir}",
            *(f"--gin_file={file}" for file in self._files(cell)),
            f"--posterior={cell.posterior}",
            f"--prior={cell.prior}",
            *(f"--objective={objective}" for objective in cell.objectives),
            *(f"--gin_bindings={binding}" for binding in self._bindings(cell)),
            *self.extra_flags,
        ]

    def config(self, cell: Cell) -> tuple[list[str], list[str]]:
        """Return the config files and gin statements that these flags stand for."""
        choices = shorthand_bindings(cell.prior, cell.posterior, cell.objectives)
        return self._files(cell), [*choices, *self._bindings(cell)]

    def _files(self, cell: Cell) -> list[str]:
        return [*self.files, *(file for choice in cell.choices for file in self.files_by_choice.get(choice, ()))]

    def _bindings(self, cell: Cell) -> list[str]:
        return [*self.bindings, f"experiment.seed = {cell.seed}"]


@dataclasses.dataclass(frozen=True)
class Traits:
    """The properties of an objective that decide which objectives are paired."""

    needs_posterior: bool = False
    adversarial: bool = False
    trains_decoder: bool = True


def installed(kind: str) -> list[str]:
    """Return every installed plugin of a kind, named as in configs but without the kind."""
    return [_spelled(plugin) for plugin in find() if plugin.kind == kind]


def chosen(kind: str, names: Iterable[str]) -> list[str]:
    """Return the named plugins of a kind without repetitions, or all if no name is given; `none` is a posterior.

    Args:
      kind: "posterior", "prior" or "objective".
      names: `NAME`, or `PACKAGE/NAME`.

    Raises:
      UserError: a name is not installed, or is ambiguous.
    """
    known = [*([NONE] if kind == "posterior" else []), *installed(kind)]
    return list(dict.fromkeys(_named(kind, name, known) for name in names)) or known


def _named(kind: str, name: str, known: Sequence[str]) -> str:
    if name in known:
        return name
    matches = [p for p in find() if p.kind == kind and name in (p.name, f"{p.package}/{p.name}")]
    if not matches:
        raise UserError(f"there is no {kind} named {name!r}. {did_you_mean(name, known)}")
    return _spelled(matches[0] if len(matches) == 1 else select(f"{kind}.{name}"))


def _spelled(plugin: Plugin) -> str:
    shared = sum(other.gin_name == plugin.gin_name for other in find()) > 1
    return (plugin.qualified_name if shared else plugin.gin_name).removeprefix(f"{plugin.kind}.")


def objective_lists(traits: Mapping[str, Traits]) -> list[tuple[str, ...]]:
    """Return each objective alone, and each bound with each objective that is added to one.

    A bound needs a posterior, trains the decoder and has no adversary. What has an adversary is added to it, and what
    does not train the decoder.
    """
    bounds = [name for name, t in traits.items() if t.needs_posterior and t.trains_decoder and not t.adversarial]
    added = [name for name, t in traits.items() if t.adversarial or not t.trains_decoder]
    return [*((name,) for name in traits), *itertools.product(bounds, added)]


def combine(
    posteriors: Sequence[str], priors: Sequence[str], objectives: Sequence[tuple[str, ...]], seeds: Sequence[int]
) -> list[Cell]:
    """Return all cells in running order: the first seed of every combination before the second seed of any."""
    return [
        Cell(posterior, prior, terms, seed)
        for seed in seeds
        for posterior, terms, prior in itertools.product(posteriors, objectives, priors)
    ]
