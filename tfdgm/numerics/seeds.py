"""The tree of stateless seeds: a root, a child for each number, and a child for each purpose.

A node computes its seed when it is read, so that components can name any number of streams. Two kinds of node give the
same seeds: a `Seed` computes them with TensorFlow, and a `PlannedSeed` reads them from a table that a `SeedPlan`
computes on the host, for many steps at once. Compiled loops use the table: every `fold` in them would be two blocks of
Philox, some 300 instructions to compile and a kernel to launch, for eight bytes.
"""

import weakref
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.numerics.randomness import fold, fold_purpose, purpose_number

#: ("number", n) or ("purpose", hash of the name).
Edge = tuple[str, int]


class Seed:
    """A node of the tree; TensorFlow computes its seed.

    Args:
      tensor: stateless seed, int32 `[2]`.
    """

    def __init__(self, tensor: tf.Tensor) -> None:
        self._tensor = tensor

    @property
    def tensor(self) -> tf.Tensor:
        """The stateless seed, int32 `[2]`; TFP's `seed=` and `tf.random.stateless_*` take it."""
        return self._tensor

    def child(self, number: tf.Tensor | int) -> "Seed":
        """Return the `number`-th child stream."""
        return _Derived(self, lambda seed: fold(seed, number))

    def purpose(self, name: str) -> "Seed":
        """Return the stream of a named purpose; different names give independent draws."""
        return _Derived(self, lambda seed: fold_purpose(seed, name))


class _Derived(Seed):
    """A node derived from its parent; computes its seed once in each graph that reads it."""

    def __init__(self, parent: Seed, derive: Any) -> None:
        self.parent = parent
        self.derive = derive
        self._tensors: Any = weakref.WeakKeyDictionary()

    @property
    def tensor(self) -> tf.Tensor:
        graph = tf.compat.v1.get_default_graph()
        if graph not in self._tensors:
            self._tensors[graph] = self.derive(self.parent.tensor)
        return self._tensors[graph]


class PlannedSeed(Seed):
    """A node whose seed a `SeedPlan` computes in advance.

    Args:
      plan: records the nodes that are read.
      table: the seeds of one step, int32 `[nodes, 2]`.
      path: path from the step's seed to this node.
    """

    def __init__(self, plan: "SeedPlan", table: tf.Tensor, path: tuple[Edge, ...]) -> None:
        self.plan = plan
        self.table = table
        self.path = path

    @property
    def tensor(self) -> tf.Tensor:
        return self.table[self.plan.position(self.path)]

    def child(self, number: tf.Tensor | int) -> Seed:
        if not isinstance(number, int):
            return super().child(number)
        return PlannedSeed(self.plan, self.table, (*self.path, ("number", number)))

    def purpose(self, name: str) -> Seed:
        return PlannedSeed(self.plan, self.table, (*self.path, ("purpose", purpose_number(name))))


class SeedPlan:
    """The seeds that the steps of a loop read, computed on the host.

    Tracing a step records the nodes of the tree that it reads; `seeds` then returns their seeds for any steps.

    Args:
      root: stateless seed, int32 `[2]`; its t-th child is the seed of step t.
    """

    #: Number of steps whose seeds are computed at once, to amortise NumPy's overhead.
    CHUNK = 1024

    def __init__(self, root: np.ndarray) -> None:
        self.root = root
        self.rows: dict[tuple[Edge, ...], int] = {}
        self._chunk = lru_cache(maxsize=2)(self._compute)

    def step_seed(self, table: tf.Tensor) -> PlannedSeed:
        """Return the seed of the step whose seeds are in `table`, int32 `[nodes, 2]`."""
        return PlannedSeed(self, table, ())

    def position(self, path: tuple[Edge, ...]) -> int:
        """Return the row of a node in the table; a new node gets the next row."""
        return self.rows.setdefault(path, len(self.rows))

    def seeds(self, first: int, count: int) -> np.ndarray:
        """Return the seeds of steps `first` to `first + count`, int32 `[count, nodes, 2]`."""
        begin, end = first // self.CHUNK, (first + count - 1) // self.CHUNK
        found = np.concatenate([self._chunk(chunk, len(self.rows)) for chunk in range(begin, end + 1)])
        return found[first - begin * self.CHUNK :][:count]

    def _compute(self, chunk: int, nodes: int) -> np.ndarray:
        """Return the seeds of one chunk of steps for the first `nodes` rows."""
        steps = np.arange(chunk * self.CHUNK, (chunk + 1) * self.CHUNK)
        root = np.broadcast_to(self.root.astype(np.uint64), (self.CHUNK, 2))
        known: dict[tuple[Edge, ...], np.ndarray] = {(): _child(root, steps)}

        def seed(path: tuple[Edge, ...]) -> np.ndarray:
            if path not in known:
                kind, number = path[-1]
                child = _child(seed(path[:-1]), np.full(self.CHUNK, number))
                known[path] = child if kind == "number" else _words(child)[:, :2] & _POSITIVE
            return known[path]

        seeds = [seed(path) for path in list(self.rows)[:nodes]]
        return np.stack(seeds, axis=1).astype(np.int32) if seeds else np.zeros((self.CHUNK, 0, 2), np.int32)


# The algorithm "philox" of `tf.random.stateless_*`, in NumPy on uint64 arrays of 32-bit words.

_LOW, _POSITIVE = np.uint64(0xFFFFFFFF), np.uint64(0x7FFFFFFF)
_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_SCRAMBLE = np.array([[0x3EC8F720], [0x02461E29]], np.uint64)


def _philox(key: np.ndarray, even: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply Philox 4x32 with ten rounds (Salmon et al. 2011) to words 0 and 2, and words 1 and 3, each `[2, n]`."""
    for _ in range(10):
        product = even * _MULTIPLIERS
        even, odd = (product >> np.uint64(32))[::-1] ^ odd ^ key, (product & _LOW)[::-1]
        key = (key + _WEYL) & _LOW
    return even, odd


def _words(seeds: np.ndarray) -> np.ndarray:
    """Return the first four words `[n, 4]` of the streams of non-negative seeds `[n, 2]`."""
    even, odd = _philox(_SCRAMBLE, seeds.T, np.zeros_like(seeds.T))
    # The mixed words 0 and 1 are the key; words 2 and 3 are the upper half of the counter.
    key, zero = np.stack([even[0], odd[0]]), np.zeros_like(even[0])
    even, odd = _philox(key, np.stack([zero, even[1]]), np.stack([zero, odd[1]]))
    return np.stack([even[0], odd[0], even[1], odd[1]], axis=1)


def _child(seeds: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return `fold(seed, number)` for seeds `[n, 2]` and numbers `[n]`."""
    return np.stack([_words(seeds)[:, 0], numbers.astype(np.uint64)], axis=1) & _POSITIVE
