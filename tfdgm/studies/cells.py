"""The cells of the matrix: which combinations there are, and the flags of `tfdgm train` for each."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tfdgm.configuration.shorthand import NONE, shorthand_bindings
from tfdgm.contracts.registry import Plugin, find, select
from tfdgm.errors import UserError, did_you_mean

#: The kinds that a cell chooses, in the order in which it names them.
KINDS = ("posterior", "prior", "objective")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run: a posterior or `none`, a prior, a list of objectives, and a seed; plugins as a config names them."""

    posterior: str
    prior: str
    objectives: tuple[str, ...]
    seed: int

    @property
    def combination(self) -> tuple[str, str, str]:
        """Posterior, prior and objectives as a table shows them."""
        return self.posterior, self.prior, "+".join(self.objectives)

    @property
    def name(self) -> str:
        """The name of its folder and of its log."""
        return re.sub(r"[^\w.+-]", "_", "-".join([*self.combination, str(self.seed)]))

    @property
    def choices(self) -> list[str]:
        """`KIND.NAME` of all that it chooses."""
        return [f"posterior.{self.posterior}", f"prior.{self.prior}", *(f"objective.{o}" for o in self.objectives)]

    def __str__(self) -> str:
        return f"{' '.join(self.combination)} seed {self.seed}"

    def place(self) -> tuple:
        """Sorts cells as tables list them: without a posterior first, single objectives before pairs."""
        return self.posterior != NONE, self.posterior, len(self.objectives), self.objectives, self.prior, self.seed


@dataclasses.dataclass(frozen=True)
class CellSettings:
    """What all cells share, and what some choices add.

    Attributes:
      files: config files of every cell.
      bindings: gin statements of every cell; they win over files.
      added: by `KIND.NAME`, config files that are read after `files` in the cells with that choice.
      others: further flags of every cell.
    """

    files: Sequence[str]
    bindings: Sequence[str] = ()
    added: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    others: Sequence[str] = ()

    def flags(self, cell: Cell, workdir: Path) -> list[str]:
        """The flags with which `tfdgm train` trains the cell in `workdir`."""
        return [
            f"--workdir={workdir}",
            *(f"--gin_file={file}" for file in self._files(cell)),
            f"--posterior={cell.posterior}",
            f"--prior={cell.prior}",
            *(f"--objective={objective}" for objective in cell.objectives),
            *(f"--gin_bindings={binding}" for binding in self._bindings(cell)),
            *self.others,
        ]

    def config(self, cell: Cell) -> tuple[list[str], list[str]]:
        """Return the config files and the gin statements that those flags come to."""
        choices = shorthand_bindings(cell.prior, cell.posterior, cell.objectives)
        return self._files(cell), [*choices, *self._bindings(cell)]

    def _files(self, cell: Cell) -> list[str]:
        return [*self.files, *(file for choice in cell.choices for file in self.added.get(choice, ()))]

    def _bindings(self, cell: Cell) -> list[str]:
        return [*self.bindings, f"experiment.seed = {cell.seed}"]


@dataclasses.dataclass(frozen=True)
class Traits:
    """What decides which objectives are paired."""

    needs_posterior: bool = False
    adversarial: bool = False


def installed(kind: str) -> list[str]:
    """Every plugin of a kind, as a config names it without its kind."""
    return [_spelled(plugin) for plugin in find() if plugin.kind == kind]


def chosen(kind: str, wanted: Iterable[str]) -> list[str]:
    """The wanted plugins of a kind, each once; all where none is asked for. Posteriors have `none` among them.

    Args:
      kind: "posterior", "prior" or "objective".
      wanted: `NAME`, or `DISTRIBUTION/NAME`.

    Raises:
      UserError: a name is not installed, or is provided by several packages.
    """
    known = [*([NONE] if kind == "posterior" else []), *installed(kind)]
    return list(dict.fromkeys(_named(kind, name, known) for name in wanted)) or known


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
    """Each objective alone, and each that needs a posterior with each other that brings an adversary."""
    pairs = [
        (first, second)
        for first, second in itertools.product(traits, traits)
        if traits[first].needs_posterior and not traits[first].adversarial and traits[second].adversarial
    ]
    return [*((name,) for name in traits), *pairs]


def combine(
    posteriors: Sequence[str], priors: Sequence[str], objectives: Sequence[tuple[str, ...]], seeds: Sequence[int]
) -> list[Cell]:
    """All cells, in the order in which they run: the first seed of every combination before the second of any."""
    return [
        Cell(posterior, prior, terms, seed)
        for seed in seeds
        for posterior, terms, prior in itertools.product(posteriors, objectives, priors)
    ]
