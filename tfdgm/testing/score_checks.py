"""Checks of scores."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tfdgm.contracts.guard import described
from tfdgm.contracts.quantity import Quantity
from tfdgm.contracts.score import Score
from tfdgm.evaluation.score_set import RESERVED
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.score_worlds import SCORED, evaluation
from tfdgm.testing.watching import Generators

Numbers = dict[str, Mapping[str, Any]]


def numbers(score: Score, run: SplitEvaluation) -> Numbers:
    """Return what a score reports, by method."""
    reported: Numbers = {"compute": score.compute(run)}
    if score.in_validation:
        reported["validate"] = score.validate(run)
    return reported


def where_it_applies(subject: Subject) -> Iterator[tuple[str, Score, SplitEvaluation]]:
    """Yield (model, fresh score, evaluation) for each kind of model to which the score applies.

    Raises:
      NotApplicable: it applies to none.
    """
    obstacles = []
    for world in SCORED:
        score, run = subject.make(), evaluation(world)
        obstacle = score.obstacle(run)
        if obstacle is None:
            yield world, score, run
        else:
            obstacles.append(f"{world}: {obstacle}")
    if len(obstacles) == len(SCORED):
        raise NotApplicable(f"it applies to none of the models tried ({'; '.join(obstacles)})")


@check("score", cure="Give every number a tfdgm.Quantity with unit and formula, under a key of its own.")
def quantities_are_described(subject: Subject) -> None:
    """Every key of `quantities` stands for a `Quantity` with unit, formula and a valid direction."""
    score = subject.make()
    for key, quantity in score.quantities.items():
        _require_described(subject, f"quantities[{key!r}]", quantity)
        subject.require(key not in RESERVED, "quantities", f"it has the key {key!r}", "a key that eval.json has not")


def _require_described(subject: Subject, where: str, quantity: Any) -> None:
    subject.require(isinstance(quantity, Quantity), where, f"it is {quantity!r}", "a tfdgm.Quantity")
    unit = isinstance(quantity.unit, str) and (quantity.unit.strip() or quantity.count)
    subject.require(unit, where, f"its unit is {quantity.unit!r}", "a unit; only a count has none")
    lines = quantity.formula.splitlines() if isinstance(quantity.formula, str) else []
    formula = len(lines) == 1 and lines[0].strip()
    subject.require(formula, where, f"its formula is {quantity.formula!r}", "a formula in one line")
    direction = quantity.better in ("larger", "smaller", None)
    subject.require(direction, where, f"better is {quantity.better!r}", "'larger', 'smaller' or None")


@check("score", cure="Return the reason from `obstacle` for each model on which `compute` cannot work.")
def score_applies_or_says_why_not(subject: Subject) -> None:
    """On every kind of model, `obstacle` returns a reason in one line, or None, and then `compute` works."""
    for world in SCORED:
        score, run = subject.make(), evaluation(world)
        obstacle = _called(subject, "obstacle", world, score.obstacle, run)
        if obstacle is None:
            reported = _called(subject, "compute", world, numbers, score, run)
            for method, values in reported.items():
                came = f"it returns a {type(values).__name__} for {world}"
                subject.require(isinstance(values, Mapping), method, came, "numbers by key")
        else:
            good = isinstance(obstacle, str) and len(obstacle.splitlines()) == 1 and obstacle.strip()
            subject.require(good, "obstacle", f"it is {obstacle!r} for {world}", "a reason in one line, or None")


def _called(subject: Subject, method: str, world: str, call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception as error:
        subject.fail(method, f"{described(error)}, for {world}", "no exception")


@check("score", cure="Return numbers only under keys of `quantities`, or give their meaning by `meaning`.")
def numbers_have_a_meaning(subject: Subject) -> None:
    """`compute` and `validate` return plain numbers that are not NaN, each under a key with a meaning."""
    for world, score, run in where_it_applies(subject):
        for method, values in numbers(score, run).items():
            for key, value in values.items():
                meaning = score.meaning(key, run.built.experiment)
                came = f"it reports {key!r} for {world}, which has no meaning"
                subject.require(meaning is not None, method, came, "keys of `quantities` only")
                _require_described(subject, f"meaning({key!r})", meaning)
                number = np.asarray(value)
                plain = number.shape == () and number.dtype.kind in "iuf"
                subject.require(plain, method, f"{key!r} is {value!r} for {world}", "a plain number")
                subject.require(not np.isnan(number), method, f"{key!r} is NaN for {world}", "no NaN; omit the key")


@check("score", cure="Keep no state in Python attributes; seed what is drawn by a constant.")
def scores_repeat(subject: Subject) -> None:
    """Another instance gives equal numbers for the same weights."""
    for world, score, run in where_it_applies(subject):
        first = numbers(score, run)
        for how, other in {"a second time": score, "by another instance": subject.make()}.items():
            again = numbers(other, evaluation(world))
            for method, values in first.items():
                keys = set(values) ^ set(again[method])
                keys |= {key for key in set(values) - keys if not np.array_equal(values[key], again[method][key])}
                came = f"{', '.join(sorted(keys))} computed {how} for {world} differ"
                subject.require(not keys, method, came, "equal numbers")


@check("score", cure="Read the variables; compute on copies.")
def score_changes_no_variable(subject: Subject) -> None:
    """A score assigns no variable of the run."""
    for world, score, run in where_it_applies(subject):
        state = run.built.state
        before = state.read()
        try:
            numbers(score, run)
            changed = [name for name, value in state.read().items() if not np.array_equal(value, before[name])]
        finally:
            state.assign(before)  # other checks evaluate the same model
        subject.require(not changed, "", f"it assigns {', '.join(changed)} of {world}", "no assignment")


@check("score", cure="Draw from a generator of your own with a fixed seed, such as np.random.RandomState(0).")
def score_uses_no_global_generator(subject: Subject) -> None:
    """A score neither reads nor changes Python's, NumPy's or TensorFlow's global generators."""
    for world, score, run in where_it_applies(subject):
        with Generators(1) as generators:
            numbers(score, run)
            used = generators.used()
        subject.require(not used, "compute", f"it draws from {', '.join(used)} for {world}", "a seeded generator")
