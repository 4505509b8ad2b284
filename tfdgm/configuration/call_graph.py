"""The instances and macros that a call of `experiment` evaluates, counted without evaluating them.

gin calls `@a/S()` in the scope a, `@S()` in the scope of its caller, and evaluates the value of `%m` in the scope m.
A call reads the bindings of its scope and of the enclosing scopes; inner scopes take precedence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tfdgm.configuration.gin_grammar import DEEPEST, Macro, Reference
from tfdgm.errors import UserError

#: Largest numbers of values, and of instances among them, in a configuration once its macros are expanded.
MOST_VALUES, MOST_INSTANCES = 100_000, 1_000

Located = tuple[Any, str]


class _Size(NamedTuple):
    """Size of a value once its macros are expanded."""

    values: int = 1
    instances: int = 0
    levels: int = 1


_TOO_DEEP = f"brackets, references and macros are nested more than {DEEPEST} levels deep"
#: By measure, its bound and the message if it is exceeded.
_BOUNDS = {
    "values": (MOST_VALUES, f"expands to more than {MOST_VALUES:,} values"),
    "instances": (MOST_INSTANCES, f"expands to more than {MOST_INSTANCES:,} instances"),
    "levels": (DEEPEST + 1, f"is too large: {_TOO_DEEP}"),
}


@dataclass(frozen=True)
class _Node:
    """A macro (without a selector) or a call, in its scope."""

    scope: str
    selector: str | None


class ConfigGraph:
    """The graph of macros and calls, with an edge for every name in a value.

    Args:
      macros: (value, where) by name.
      bindings: (value, where) by scope, selector and parameter.
    """

    def __init__(self, macros: Mapping[str, Located], bindings: Mapping[tuple[str, str, str], Located]) -> None:
        self._macros = macros
        self._bindings: dict[str, dict[str, dict[str, Located]]] = {}
        for (scope, selector, parameter), located in bindings.items():
            self._bindings.setdefault(selector, {}).setdefault(scope, {})[parameter] = located
        self._sizes: dict[_Node, _Size] = {}
        self._open: dict[_Node, str] = {}
        self._level = 0

    def check(self) -> set[str]:
        """Traverse the graph from the experiment and from every macro.

        Returns:
          The selectors that a call of `experiment` reaches.

        Raises:
          UserError: there is a cycle, or the configuration is too deep or too large.
        """
        self._follow(_Node("", "experiment"), "experiment", "")
        selectors = {node.selector for node in self._sizes if node.selector is not None}
        for name, (_, where) in self._macros.items():
            self._follow(_Node(name, None), f"%{name}", where)
        return selectors

    def _follow(self, node: _Node, name: str, where: str) -> _Size:
        """Return the size of a node; `where` is the statement that names it."""
        if node in self._open:
            path = list(self._open)
            chain = [*(self._open[passed] for passed in path[path.index(node) :]), name]
            raise UserError(f"{where}\n  {name} refers to itself: {' -> '.join(chain)}")
        if node not in self._sizes:
            self._open[node] = name
            parts = [(self._measure(value, where, node.scope), where) for value, where in self._values(node)]
            del self._open[node]
            size = _around([part for part, _ in parts], instances=int(node.selector is not None))
            _check_bounds(name, size, parts)
            self._sizes[node] = size
        return self._sizes[node]

    def _values(self, node: _Node) -> Iterator[Located]:
        """Yield the values that a node evaluates."""
        if node.selector is None:
            yield self._macros[node.scope]
            return
        by_scope = self._bindings.get(node.selector, {})
        parts = node.scope.split("/") if node.scope else []
        read: dict[str, Located] = {}
        for length in range(len(parts) + 1):
            read |= by_scope.get("/".join(parts[:length]), {})
        yield from read.values()

    def _measure(self, value: Any, where: str, scope: str) -> _Size:
        """Return the size of a value evaluated in a scope."""
        self._level += 1
        if self._level > DEEPEST:
            raise UserError(f"{where}\n  {_TOO_DEEP}")
        if isinstance(value, Macro):
            size = self._follow(_Node(value.name, None), str(value), where)
        elif isinstance(value, Reference):
            size = self._follow(_Node(value.scope or scope, value.selector), str(value), where)
        elif isinstance(value, (dict, list, tuple)):
            items = value.values() if isinstance(value, dict) else value
            size = _around([self._measure(item, where, scope) for item in items])
        else:
            size = _Size()
        self._level -= 1
        return size


def _around(parts: Sequence[_Size], instances: int = 0) -> _Size:
    """Return the size of a value with these parts."""
    return _Size(
        1 + sum(part.values for part in parts),
        instances + sum(part.instances for part in parts),
        1 + max((part.levels for part in parts), default=0),
    )


def _check_bounds(name: str, size: _Size, parts: Sequence[tuple[_Size, str]]) -> None:
    """Refuse a size above a bound; the message points to the statement that contributes most."""
    for measure, (most, message) in _BOUNDS.items():
        if getattr(size, measure) > most:
            _, where = max(parts, key=lambda part: getattr(part[0], measure))
            raise UserError(f"{where}\n  {name} {message}")
