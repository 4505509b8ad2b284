"""Search what a sweep varies with Optuna: it proposes combinations, and stops runs that do worse than others.

Everything that Optuna knows is in `optuna.db`, a SQLite file in the study's folder, from which a search goes on after
it was killed, and which Optuna's own dashboard opens.
"""

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfdgm.errors import UserError
from tfdgm.studies.cells import Cell, CellSettings
from tfdgm.studies.exit_status import DONE, FAILED, PRUNED, REFUSED, UNFINISHED
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.goals import Goal
from tfdgm.studies.sweep_cells import SweepCell, combination_of
from tfdgm.studies.varied import Varied

Sampler = Literal["tpe", "random"]
Pruner = Literal["none", "median", "halving"]
SAMPLERS: tuple[Sampler, ...] = ("tpe", "random")
PRUNERS: tuple[Pruner, ...] = ("none", "median", "halving")

STORAGE = "optuna.db"
_STUDY = "tfdgm sweep"
#: The attribute of a trial with its texts, as a list.
_TEXTS = "texts"
#: The attribute of the study with what it varies.
_SPACE = "space"


def import_optuna() -> Any:
    """Return the module `optuna`, with its log reduced to warnings.

    Raises:
      UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("--trials needs Optuna: pip install 'tfdgm[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@dataclasses.dataclass(frozen=True)
class Method:
    """How a search proposes and stops combinations.

    Attributes:
      trials: number of proposals, those of earlier commands included.
      sampler: "tpe", the tree-structured Parzen estimator (Bergstra et al. 2011), or "random".
      pruner: "median" stops a run whose goal is worse than the median of the others at the same step; "halving" keeps
        the better part at steps that grow geometrically (Li et al. 2020); "none" stops none.
    """

    trials: int
    sampler: Sampler = "tpe"
    pruner: Pruner = "none"


class Search:
    """A `Supply` of cells that Optuna proposes.

    Each proposal is one Optuna trial, of which the value is the mean of the goal over the seeds. With a pruner the
    first seed is trained first, and the others only if it was not stopped.

    Args:
      folder: of the study, held by this process.
      varied: what to search.
      settings: shared by the cells.
      goal: the number to optimise.
      seeds: of each combination.
      method: of the search.
      plan: checks cells and adds their results to those of the study; it returns those to train.

    Raises:
      UserError: Optuna is not installed, the storage cannot be opened, or it searches something else.
    """

    def __init__(
        self,
        folder: Folder,
        varied: Sequence[Varied],
        settings: CellSettings,
        goal: Goal,
        seeds: Sequence[int],
        method: Method,
        plan: Callable[[Sequence[SweepCell]], dict[Cell, Result]],
    ) -> None:
        self.optuna = import_optuna()
        self.folder = folder
        self.varied = varied
        self.settings = settings
        self.goal = goal
        self.seeds = seeds
        self.method = method
        self.prunes = method.pruner != "none"
        self.plan = plan
        self.names = tuple(each.name for each in varied)
        self.results: dict[Cell, Result] = {}
        self.open: dict[tuple[str, ...], Any] = {}
        self.steps: dict[Cell, int] = {}
        self.queue: list[Cell] = []
        self.study = self._opened(method.pruner)
        self.total = max(0, method.trials - len(self._finished())) * len(seeds)

    def more(self) -> Sequence[Cell]:
        """Return the seeds that waited for their first, then trials of an earlier command, then new ones."""
        if self.queue:
            waiting, self.queue = self.queue, []
            return waiting
        with _storage_errors(self.folder.path / STORAGE):
            for frozen in self._started():
                texts = tuple(frozen.user_attrs[_TEXTS])
                if texts not in self.open:
                    self.open[texts] = self.optuna.trial.Trial(self.study, frozen._trial_id)
                    if waiting := self._waiting(texts):
                        return waiting
            while len(self._finished()) + len(self.open) < self.method.trials:
                if waiting := self._propose():
                    return waiting
            return []

    def ended(self, result: Result) -> None:
        """Tell Optuna the value of a combination once all its runs have ended."""
        assert isinstance(result.cell, SweepCell)
        self.results[result.cell] = result
        if result.status == UNFINISHED:
            return
        if self.prunes and result.status == DONE and result.cell.seed == self.seeds[0]:
            self._require_reports(self.folder.workdir(result.cell))
            list(self._report(result.cell))  # what it reported last; later runs are compared with it
            cells = self._cells(result.cell.texts)[1:]
            self.queue += [cell for cell in cells if self.results[cell].status != DONE]
        with _storage_errors(self.folder.path / STORAGE):
            self._tell(result.cell.texts)

    def reason_to_stop(self, cell: Cell) -> str | None:
        """Report the goal at the steps since the last look, and return why the pruner stops the run, if it does."""
        assert isinstance(cell, SweepCell)
        trial = self.open.get(cell.texts)
        if not self.prunes or cell.seed != self.seeds[0] or trial is None:
            return None
        for step, value in self._report(cell):
            if trial.should_prune():
                return f"{self.goal.name} {value:.4g} at step {step} is worse than that of other runs"
        return None

    def _report(self, cell: SweepCell) -> Iterator[tuple[int, float]]:
        """Report each (step, goal) since the last look, and yield it."""
        for step, value in self.goal.reported(self.folder.workdir(cell)):
            if step > self.steps.get(cell, -1):
                self.steps[cell] = step
                self.open[cell.texts].report(value, step)
                yield step, value

    def values(self) -> dict[tuple[str, ...], float]:
        """Return the mean of the goal by the texts of each combination that is done."""
        complete = self.optuna.trial.TrialState.COMPLETE
        return {tuple(t.user_attrs[_TEXTS]): t.value for t in self.study.get_trials(states=(complete,))}

    def _opened(self, pruner: Pruner) -> Any:
        optuna, path = self.optuna, self.folder.path / STORAGE
        pruners = {
            "none": optuna.pruners.NopPruner,
            "median": optuna.pruners.MedianPruner,
            "halving": optuna.pruners.SuccessiveHalvingPruner,
        }
        with _storage_errors(path):
            study = optuna.create_study(
                storage=f"sqlite:///{path.resolve()}",
                study_name=_STUDY,
                direction="maximize" if self.goal.direction == "largest" else "minimize",
                pruner=pruners[pruner](),
                load_if_exists=True,
            )
            space = [f"{each.name} = {each.interval or ', '.join(each.values)}" for each in self.varied]
            space += [f"goal {self.goal.name} {self.goal.direction}", f"seeds {', '.join(map(str, self.seeds))}"]
            known = study.user_attrs.get(_SPACE, space)
            if known != space:
                differing = [f"-{line}" for line in known if line not in space]
                differing += [f"+{line}" for line in space if line not in known]
                raise UserError(
                    f"{self.folder.path} holds another search; use another --workdir. Differences:\n  "
                    + "\n  ".join(differing)
                )
            study.set_user_attr(_SPACE, space)
            running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
            for trial in running:
                if _TEXTS not in trial.user_attrs:  # killed while it was proposed
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return study

    def _finished(self) -> list[Any]:
        """Return the trials that have ended, without those that were killed while they were proposed."""
        found = self.study.get_trials(deepcopy=False)
        return [trial for trial in found if trial.state.is_finished() and _TEXTS in trial.user_attrs]

    def _started(self) -> list[Any]:
        return self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.RUNNING,))

    def _propose(self) -> list[Cell]:
        """Ask for a combination; return its cells that are to be trained."""
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = self._sampler(number)
        trial = self.study.ask()
        texts = combination_of(self.varied, self.settings, lambda each: _suggest(trial, each))
        trial.set_user_attr(_TEXTS, list(texts))
        known = self.values()
        if texts in known:  # a combination that was drawn again is not trained again
            self.study.tell(trial, known[texts])
            self.total -= len(self.seeds)
            return []
        if texts in self.open:
            self.total -= len(self.seeds)
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            return []
        self.open[texts] = trial
        return self._waiting(texts)

    def _sampler(self, number: int) -> Any:
        """Return a sampler whose draws depend on the trial's number, so that a resumed search draws anew."""
        seed = int(np.random.SeedSequence(number).generate_state(1)[0])
        if self.method.sampler == "random":
            return self.optuna.samplers.RandomSampler(seed=seed)
        return self.optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # others run meanwhile

    def _waiting(self, texts: tuple[str, ...]) -> list[Cell]:
        """Return the cells of a combination that are to be trained now; if there are none, tell Optuna its value."""
        cells = self._cells(texts)
        self.results |= self.plan(cells)
        self.total -= sum(self.results[cell].status in (DONE, REFUSED) for cell in cells)
        self._tell(texts)
        if texts not in self.open:
            return []
        waiting: list[Cell] = [cell for cell in cells if self.results[cell].status != DONE]
        return waiting[:1] if self.prunes and cells[0] in waiting else waiting

    def _cells(self, texts: tuple[str, ...]) -> list[SweepCell]:
        return [SweepCell(self.names, texts, seed) for seed in self.seeds]

    def _tell(self, texts: tuple[str, ...]) -> None:
        """Tell Optuna how a combination ended, if it has ended."""
        if texts not in self.open:
            return
        cells, state = self._cells(texts), self.optuna.trial.TrialState
        statuses = {self.results[cell].status for cell in cells}
        if statuses & {REFUSED, FAILED}:
            self.study.tell(self.open.pop(texts), state=state.FAIL)
        elif PRUNED in statuses:
            self.study.tell(self.open.pop(texts), state=state.PRUNED)
            self._drop(cells)
        elif statuses == {DONE}:
            values = [self.goal.of_run(self.folder.workdir(cell)) for cell in cells]
            self.study.tell(self.open.pop(texts), statistics.fmean(values))

    def _drop(self, cells: Sequence[SweepCell]) -> None:
        """Record that the other seeds of a stopped run are not trained."""
        for cell in cells:
            if self.results[cell].status == UNFINISHED:
                self.results[cell].status = PRUNED
                self.results[cell].reason = f"the run of seed {self.seeds[0]} was stopped"
                self.total -= 1

    def _require_reports(self, workdir: Path) -> None:
        """Raise `UserError` if training does not report the goal, so that the pruner has nothing to compare."""
        if not self.goal.reported(workdir):
            raise UserError(
                f"--pruner: training does not report {self.goal.name}, so no run can be stopped for it; choose a goal "
                f"that {workdir / 'metrics.jsonl'} has, such as validation_elbo"
            )


def _suggest(trial: Any, each: Varied) -> str:
    """Return the gin text of a value that Optuna draws."""
    interval = each.interval
    if interval is None or (each.values and interval.step is None):
        return trial.suggest_categorical(each.name, list(each.values))
    if interval.step is not None:
        return str(trial.suggest_int(each.name, int(interval.low), int(interval.high), step=interval.step))
    value = trial.suggest_float(each.name, interval.low, interval.high, log=interval.log)
    return repr(float(f"{value:.6g}"))  # it reads better, in names of folders too


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn an error of the storage into a `UserError`."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = str(error.__cause__ or error).partition("\n")[0]
        raise UserError(f"Optuna cannot use {path}: {cause}") from None
