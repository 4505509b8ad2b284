"""Checks of data."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Data, Source, evenly
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.trials import stream

#: Sources of at most this many bytes are read in full; of larger ones, evenly spaced rows of this many bytes.
_READ = 1 << 26
_AT_ONCE = 1_024
_THREADS = 8


def _positions(source: Source) -> np.ndarray:
    """Return all positions of a small source, and a spread of them of a large one."""
    row = max(1, source.nbytes // len(source))
    return evenly(len(source), max(1, min(len(source), _READ // row)))


def _context(training: bool) -> Context:
    return Context(stream(), tf.constant(0, tf.int64), training=training)


@check("data", cure="Return a dict with the split 'train', and name the others 'validation' and 'test'.")
def splits_are_named(subject: Subject) -> None:
    """There is a split `train`, no split but `validation` and `test` beside it, and none is empty."""
    splits = subject.make().splits()
    named = ", ".join(splits)
    good = "train" in splits and set(splits) <= {"train", "validation", "test"}
    subject.require(good, "splits", f"splits {named}", "train, and perhaps validation and test")
    for name, source in splits.items():
        subject.require(isinstance(source, Source), f"splits()[{name!r}]", type(source).__name__, "a tfdgm.Source")
        subject.require(len(source) > 0, f"splits()[{name!r}]", "it is empty", "at least one row")


@check("data", cure="Make gather a function of the positions alone, and set shape and dtype to what it returns.")
def gathers_are_deterministic(subject: Subject) -> None:
    """`gather` gives rows of the declared shape and dtype, the same in any order, twice, and in other instances."""
    other = subject.make().splits()
    for name, source in subject.make().splits().items():
        where = f"splits()[{name!r}].gather"
        positions = evenly(len(source), min(len(source), 16))
        rows = source.gather(positions)
        came = f"{rows.shape} {rows.dtype}"
        good = rows.shape == (len(positions), *source.shape) and rows.dtype == np.dtype(source.dtype)
        subject.require(good, where, came, f"{(len(positions), *source.shape)} {np.dtype(source.dtype)}")
        order = np.random.RandomState(0).permutation(len(positions))
        again = {
            "a second time": (source.gather(positions), rows),
            "in another order": (source.gather(positions[order]), rows[order]),
            "one twice": (source.gather(positions[[0, 0]]), rows[[0, 0]]),
            "in another instance": (other[name].gather(positions), rows),
        }
        for how, (came_rows, wanted) in again.items():
            equal = np.array_equal(came_rows, wanted, equal_nan=np.issubdtype(rows.dtype, np.inexact))
            subject.require(equal, where, f"the rows gathered {how} differ", "equal rows")


@check("data", cure="Let fingerprint depend on the examples alone, and return JSON values for each split.")
def fingerprints_are_deterministic(subject: Subject) -> None:
    """`fingerprint` returns JSON values for each split, the same ones in other instances."""
    texts = []
    for data in (subject.make(), subject.make()):
        splits = data.splits()
        found = data.fingerprint(splits)
        subject.require(set(found) == set(splits), "fingerprint", f"splits {', '.join(found)}", ", ".join(splits))
        try:
            texts.append(json.dumps(found))
        except (TypeError, ValueError) as error:
            subject.require(False, "fingerprint", str(error), "JSON values")
    subject.require(texts[0] == texts[1], "fingerprint", "other values in another instance", "equal values")


@check("data", cure="Open files in each call, or protect shared readers by a lock.")
def gathers_are_thread_safe(subject: Subject) -> None:
    """Several threads that gather at once get the rows that one thread gets."""
    for name, source in subject.make().splits().items():
        size = min(len(source), 64)
        wanted = source.gather(evenly(len(source), size))
        parts = [evenly(len(source), size)[start::_THREADS] for start in range(min(_THREADS, size))] * 4
        with ThreadPoolExecutor(_THREADS) as pool:
            gathered = list(pool.map(source.gather, parts))
        for part, rows in zip(
            [slice(n, None, _THREADS) for n in range(min(_THREADS, size))] * 4, gathered, strict=True
        ):
            equal = np.array_equal(rows, wanted[part])
            subject.require(equal, f"splits()[{name!r}].gather", "threads get other rows", "thread-safe reading")


@check("data", cure="Scale x in `observe`, or correct low, high, levels or shape of the spec.")
def observations_fit_the_spec(subject: Subject) -> None:
    """x has the spec's shape, is float32 and finite, lies within its range, and on its levels."""
    data: Data = subject.make()
    spec = data.spec
    for name, source in data.splits().items():
        positions = _positions(source)
        for start in range(0, len(positions), _AT_ONCE):
            rows = source.gather(positions[start : start + _AT_ONCE])
            for training in (True, False) if start == 0 else (name == "train",):
                x = data.observe(tf.constant(rows), _context(training)).numpy()
                came = f"x of {name} is {x.shape[1:]} {x.dtype}"
                good = x.shape[1:] == spec.shape and x.dtype == np.float32
                subject.require(good, "observe", came, f"{spec.shape} float32")
                subject.require(np.all(np.isfinite(x)), "observe", f"{name} has NaN or infinity", "finite numbers")
                slack = 1e-6 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
                inside = np.all(x >= spec.low - slack) and np.all(x <= spec.high + slack)
                came = f"x of {name} lies in [{x.min():g}, {x.max():g}]"
                subject.require(inside, "spec", came, f"[{spec.low:g}, {spec.high:g}], the declared range")
                if spec.counts:
                    whole = bool(np.all((x >= 0) & (x == np.round(x))))
                    subject.require(whole, "spec", f"x of {name} is not whole numbers from 0", "counts=False")
                if spec.levels is not None:
                    level = (x - spec.low) / (spec.high - spec.low) * (spec.levels - 1)
                    on = np.all(np.abs(level - np.round(level)) < 1e-3)
                    subject.require(on, "spec", f"x of {name} is not on {spec.levels} levels", "levels=None")


@check("data", cure="Return the density of x as the model sees it, without batch shape.")
def known_properties_fit_the_data(subject: Subject) -> None:
    """`density`, `modes` and `features`, where known, apply to x: shapes, finite values, modes in 0..count-1."""
    data: Data = subject.make()
    density, modes, features = data.density(), data.modes(), data.features()
    if density is None and modes is None and features is None:
        raise NotApplicable("none of density, modes and features is known")
    train = data.splits()["train"]
    x = data.observe(tf.constant(train.gather(evenly(len(train), min(len(train), 16)))), _context(False)).numpy()
    if density is not None:
        shapes = tuple(density.batch_shape), tuple(density.event_shape)
        subject.require(shapes == ((), data.spec.shape), "density", f"shapes {shapes}", f"{((), data.spec.shape)}")
        finite = np.all(np.isfinite(density.log_prob(x)))
        subject.require(finite, "density", "log_prob is not finite at training rows", "finite numbers")
    if modes is not None:
        mode, quality = (np.asarray(each) for each in modes.assign(x))
        fits = mode.shape == quality.shape == (len(x),) and quality.dtype == bool
        subject.require(
            fits, "modes", f"assign gives {mode.shape} and {quality.shape} {quality.dtype}", "[n], and [n] bool"
        )
        inside = np.all((mode >= 0) & (mode < modes.count))
        subject.require(inside, "modes", f"modes {sorted(set(mode.tolist()))}", f"0..{modes.count - 1}")
    if features is not None:
        values = np.asarray(features(x))
        good = values.ndim == 2 and len(values) == len(x) and np.all(np.isfinite(values))
        subject.require(good, "features", f"shape {values.shape}", f"({len(x)}, f), finite")


@check("data", cure="Return plain numbers, strings, lists and dicts.")
def description_is_json(subject: Subject) -> None:
    """`describe` returns what JSON can hold."""
    described = subject.make().describe()
    try:
        json.dumps(described, allow_nan=False)
    except (TypeError, ValueError) as error:
        subject.fail("describe", f"{error}", "numbers, strings, lists and dicts")
