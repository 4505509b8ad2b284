"""The scores of an experiment: all that are installed, and those that it lists."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.quantity import Quantity
from tfdgm.contracts.registry import OWN_PACKAGE, Plugin, find, load, select
from tfdgm.contracts.score import Score
from tfdgm.errors import UserError, described
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.runs.experiment import Experiment
from tfdgm.system.signals import Stopped

#: Keys of `eval.json` that say what was scored.
RESERVED = ("step", "seed", "data_split", "num_examples", "binarization", "interrupted")
#: Another worker was lost; all workers must then be restarted.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@dataclasses.dataclass(frozen=True)
class NamedScore:
    """A score with its origin.

    Attributes:
      name: of the plugin without its kind, or of the class.
      origin: name, package and version for messages.
      score: the score.
    """

    name: str
    origin: str
    score: Score

    @property
    def note_key(self) -> str:
        return self.score.note_key or f"{self.name}_note"


class ScoreSet:
    """The scores of an experiment in the order of their rows.

    Installed scores have their default hyperparameters; one that `experiment.scores` lists replaces the installed one
    of its class. Scores that require arguments are there only if listed.

    Args:
      experiment: the experiment.
      names: of the plugins to use, or keys that they report, as in `tfdgm eval --scores`; all by default.

    Raises:
      UserError: a name is unknown, or two scores describe the same key.
    """

    def __init__(self, experiment: Experiment, names: Sequence[str] = ()) -> None:
        self.named = bool(names)
        self.broken: dict[str, str] = {}
        installed = [plugin for plugin in find() if plugin.kind == "score"]
        chosen = [plugin for name in names for plugin in _named(name, installed)] or installed
        listed = {type(score): score for score in experiment.scores}
        scores: list[NamedScore] = []
        for plugin in dict.fromkeys(chosen):
            try:
                loaded = load(plugin)
                score = listed.pop(loaded, None) or _with_defaults(loaded)
                if score is not None:
                    scores.append(NamedScore(plugin.name, str(plugin), score))
                elif names:
                    raise UserError(f"{plugin} has required arguments; list it in experiment.scores")
            except Exception as error:
                message = str(error) if isinstance(error, UserError) else f"{plugin} failed: {described(error)}"
                if names:
                    raise UserError(message) from error
                self.broken[f"{plugin.name}_note"] = message
        if not names:
            scores += [_of_class(score) for score in listed.values()]
        self.scores = sorted(scores, key=lambda each: (each.score.rank, each.name))
        self.experiment = experiment
        self.owners = _owners(self.scores)
        self._reported: dict[str, dict[str, Quantity]] = {each.origin: {} for each in self.scores}

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The meaning of each number that these scores may report or have reported, in the order of the rows."""
        return {
            key: quantity
            for each in self.scores
            for key, quantity in {**each.score.quantities, **self._reported[each.origin]}.items()
        }

    def meanings(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of all `quantities` and the plugin of each, for `scores.json`."""
        origins = {key: each.origin for each in self.scores for key in self._reported[each.origin]}
        origins |= {key: each.origin for each in self.scores for key in each.score.quantities}
        return {key: {**dataclasses.asdict(q), "plugin": origins[key]} for key, q in self.quantities.items()}

    def compute(self, run: SplitEvaluation) -> dict[str, Any]:
        """Return the numbers of all scores that apply, then the notes.

        After a signal `run.stopped` is set, and `interrupted` says how many scores were computed.
        """
        return self._collect(run, self.scores, lambda score: score.compute(run))

    def validate(self, run: SplitEvaluation) -> dict[str, Any]:
        """Return the numbers and notes of the scores that are computed in validations."""
        return self._collect(run, [e for e in self.scores if e.score.in_validation], lambda score: score.validate(run))

    def _collect(
        self,
        run: SplitEvaluation,
        scores: Sequence[NamedScore],
        compute: Callable[[Score], Mapping[str, float]],
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, each in enumerate(scores):
            run.note_key = each.note_key
            if run.progress is not None:
                run.progress.begin(each.name, number + 1, len(scores))
            try:
                obstacle = each.score.obstacle(run)
                if obstacle is None:
                    found |= self._accepted(each, compute(each.score), found)
                elif self.named:
                    run.note(f"{each.origin} does not apply: {obstacle}")
            except Stopped as stopped:
                run.stopped = stopped
                found["interrupted"] = f"before {each.name}: {number} of {len(scores)} scores were computed"
                break
            except (UserError, *_LOST):
                raise
            except Exception as error:
                run.note(f"{each.origin} failed: {described(error)}")
        return found | self.broken | {key: "; ".join(notes) for key, notes in run.notes.items()}

    def _accepted(self, each: NamedScore, numbers: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the numbers of a score as Python's own.

        Raises:
          ValueError: a key has no meaning, or belongs to another score.
          TypeError: a value is not a number.
        """
        accepted: dict[str, int | float] = {}
        for key, value in numbers.items():
            meaning = each.score.meaning(key, self.experiment)
            if meaning is None:
                raise ValueError(f"it reported {key!r}, which is not one of its quantities")
            if key in found or self.owners.get(key, each.origin) != each.origin:
                raise ValueError(f"it reported {key!r}, which another score reports")
            number = np.asarray(value)
            if number.shape or number.dtype.kind not in "iuf":
                raise TypeError(f"{key!r} must be a number, got {value!r}")
            accepted[key] = number.item()
            self._reported[each.origin][key] = meaning
        return accepted


def _named(name: str, installed: Sequence[Plugin]) -> list[Plugin]:
    """Return the plugin of a name, else those that report a key of that name.

    Raises:
      UserError: there is none.
    """
    try:
        return [select(f"score.{name.removeprefix('score.')}", prefer=OWN_PACKAGE)]
    except UserError:
        reporting = [plugin for plugin in installed if name in _keys(plugin)]
        if not reporting:
            raise
        return reporting


def _keys(plugin: Plugin) -> Collection[str]:
    """Return the keys that a score reports; none of one that does not load."""
    try:
        score: type[Score] = load(plugin)
        return score.quantities.keys()
    except Exception:  # it is reported where all scores are computed
        return ()


def _with_defaults(loaded: type[Score]) -> Score | None:
    """Return an instance, or None if the class has required arguments.

    Raises:
      TypeError: it describes a key by something else than a `Quantity`.
    """
    if not all(isinstance(quantity, Quantity) for quantity in loaded.quantities.values()):
        raise TypeError("its quantities must be tfdgm.Quantity by key")
    required = [p for p in inspect.signature(loaded).parameters.values() if p.default is p.empty]
    return None if required else loaded()


def _of_class(score: Score) -> NamedScore:
    name = score.display_name()
    return NamedScore(name.removeprefix("score.").lower(), name, score)


def _owners(scores: Sequence[NamedScore]) -> dict[str, str]:
    """Return the origin of the score of each key.

    Raises:
      UserError: two scores have the same key.
    """
    owners = dict.fromkeys(RESERVED, "tfdgm itself")
    for each in scores:
        for key in each.score.quantities:
            if key in owners:
                raise UserError(f"two scores report {key!r}: {owners[key]} and {each.origin}; uninstall one of them")
            owners[key] = each.origin
    return owners
