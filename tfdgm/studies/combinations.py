"""The cells of a matrix: every combination of posteriors, priors and lists of objectives."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfdgm.configuration.shorthand import NONE, shorthand_bindings
from tfdgm.contracts.registry import Plugin, find, select
from tfdgm.errors import UserError, did_you_mean
from tfdgm.studies.cells import Cell, StudyKind

#: The plugin kinds that a cell chooses, in the order of its name.
KINDS = ("posterior", "prior", "objective")


@dataclasses.dataclass(frozen=True)
class MatrixCell(Cell):
    """A posterior or `none`, a prior, a list of objectives, and a seed; plugins are named as in configs."""

    posterior: str
    prior: str
    objectives: tuple[str, ...]
    seed: int

    columns = ("posterior", "prior", "objectives")

    @property
    def combination(self) -> tuple[str, str, str]:
        return self.posterior, self.prior, "+".join(self.objectives)

    @property
    def title(self) -> tuple[str, str]:
        return f"posterior {self.posterior}, {'+'.join(self.objectives)}", f"prior {self.prior}"

    @property
    def choices(self) -> list[str]:
        return [f"posterior.{self.posterior}", f"prior.{self.prior}", *(f"objective.{o}" for o in self.objectives)]

    def flags(self) -> list[str]:
        objectives = (f"--objective={objective}" for objective in self.objectives)
        return [f"--posterior={self.posterior}", f"--prior={self.prior}", *objectives]

    def statements(self) -> list[str]:
        return shorthand_bindings(self.prior, self.posterior, self.objectives)

    def record(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def sort_key(self) -> tuple:
        """Cells without a posterior come first, and single objectives before pairs."""
        return self.posterior != NONE, self.posterior, len(self.objectives), self.objectives, self.prior, self.seed


def _read(entry: Mapping[str, Any]) -> MatrixCell:
    names = [entry["posterior"], entry["prior"], *entry["objectives"]]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a name is not a text")
    return MatrixCell(names[0], names[1], tuple(names[2:]), int(entry["seed"]))


MATRIX = StudyKind("matrix", _read)


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
) -> list[MatrixCell]:
    """Return all cells in running order: the first seed of every combination before the second seed of any."""
    return [
        MatrixCell(posterior, prior, terms, seed)
        for seed in seeds
        for posterior, terms, prior in itertools.product(posteriors, objectives, priors)
    ]
