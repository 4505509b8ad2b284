"""A trained model in its workdir, on NumPy arrays."""

import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfdgm.api.boundary import computing, in_one_message
from tfdgm.api.given_data import as_array
from tfdgm.api.given_inputs import Inputs
from tfdgm.contracts.data import evenly
from tfdgm.errors import UserError
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.runs.experiment import Built
from tfdgm.runs.workdir import Workdir
from tfdgm.trained.inference import Inference
from tfdgm.trained.sampling import Sampler, Samples

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from tfdgm.configuration.resolve import Config
    from tfdgm.runs.experiment import Experiment


class TrainedRun:
    """A trained model in its workdir; `tfdgm.train` and `tfdgm.load` return one.

    Shapes for images of 8 x 8 as rows of 64, and latents in R^8:

        run.sample(16).mean                    # [16, 64], E[x|z] at draws of z from the prior
        z = run.encode(x)                      # [n, 8], for x [n, 64]
        run.decode(z)                          # [n, 64]
        run.reconstruct(x)                     # [n, 64]
        run.log_prob(x, samples=100)           # [n], nats
        run.interpolate(x[:1], x[1:2], steps=5)  # [1, 5, 64]
        run.scores(split="test")               # {"elbo": ..., "nll_iwae": ..., ...}

    `x` is in the form of the data that was trained on: integers where those are integers, which are divided by 255; or
    floats as the model sees them. Data that draws, such as binary pixels from grey levels, does so by a fixed seed.
    Methods without a seed are deterministic; moving averages of the weights are used if the run has any. Two runs do
    not share weights, and no method changes the workdir.

    Attributes:
      config: its configuration as gin; None if it was trained from an experiment made in Python.
      reason: why a callback ended the training early, or None.
    """

    def __init__(
        self, folder: Workdir, built: Built, config: "Config | None", reason: str | None = None, temporary: bool = False
    ) -> None:
        self._folder = folder
        self._built = built
        self.config = None if config is None else config.text
        self.reason = reason
        self._inference = Inference(built)
        self._inputs = Inputs(built, self._inference)
        self._samplers: dict[int, Sampler] = {}
        if temporary:
            weakref.finalize(self, shutil.rmtree, folder.path, ignore_errors=True)

    @property
    def workdir(self) -> Path:
        """Folder of the run."""
        return self._folder.path

    @property
    def experiment(self) -> "Experiment":
        """Settings and parts of the run."""
        return self._built.experiment

    @property
    def step(self) -> int:
        """Number of steps taken."""
        return int(self._built.state.step.numpy())

    @property
    def conditional(self) -> bool:
        """Whether the model is p(x, z | y), so that methods that read x need the labels y."""
        return self._built.model.condition is not None

    def __repr__(self) -> str:
        parts = (self.experiment.prior, self.experiment.posterior, self.experiment.likelihood)
        names = ", ".join(part.display_name() for part in parts if part is not None)
        return f"<tfdgm.TrainedRun of {names}; step {self.step:,} of {self.experiment.steps:,}; {self.workdir}>"

    @computing
    def sample(self, num: int = 64, label: Any = None, *, seed: int = 0) -> Samples:
        """Draw z from the prior, and x from p(x|z); the same as `tfdgm sample` with this seed.

        Args:
          num: number of draws.
          label: in a model of labels the label of all draws, by name or number, or one for each draw; in a model of
            condition vectors the vector `[c]`, or one for each `[num, c]`. None takes those of training examples.
          seed: of the draws.

        Returns:
          `x` `[num, *shape]`; `mean`, E[x|z] at the same z; `z` `[num, *event]`; and `y`, the conditions, or None.

        Raises:
          UserError: `num` is below 1, or the label is unknown.
        """
        y = None if label is None else self._inputs.conditions(label, num)
        if num not in self._samplers:
            self._samplers[num] = Sampler(self._built, num)
        with self._built.devices.scope():
            return self._samplers[num](seed, y)

    @computing
    def encode(self, x: Any, labels: Any = None, *, seed: int | None = None) -> np.ndarray:
        """Return z `[n, *event]` of x `[n, *shape]`: the mean of q(z|x), or for codes the most probable ones.

        Args:
          x: examples.
          labels: conditions of the examples, in a model with a condition.
          seed: draws from q(z|x) instead.

        Raises:
          UserError: the model has no posterior, or q(z|x) has no mean in closed form; x or labels do not fit.
        """
        rows, y = self._examples(x, labels)
        return self._encoded(rows, y, seed)

    @computing
    def decode(self, z: Any, labels: Any = None, *, seed: int | None = None) -> np.ndarray:
        """Return E[x|z] `[n, *shape]` of z `[n, *event]`, vectors or codes as `encode` returns them.

        Args:
          z: latents.
          labels: conditions, in a model with a condition.
          seed: draws from p(x|z) instead.

        Raises:
          UserError: z or labels do not fit.
        """
        values = self._inputs.latents(z)
        inputs = self._inference.embed(values)
        return self._inference.decode(inputs, self._inputs.required(labels, len(values)), seed)

    @computing
    def reconstruct(self, x: Any, labels: Any = None, *, seed: int | None = None) -> np.ndarray:
        """Return E[x'|z] `[n, *shape]` at z = `encode(x)`; the arguments and errors are those of `encode`.

        The reconstructions of `tfdgm train` are at draws from q(z|x), as with a seed.
        """
        rows, y = self._examples(x, labels)
        return self._inference.decode(self._inference.embed(self._encoded(rows, y, seed)), y, None)

    @computing
    def log_prob(self, x: Any, labels: Any = None, *, samples: int = 100, seed: int = 0) -> np.ndarray:
        """Return a lower bound on log p(x), `[n]`, nats: log (1/S) sum_s p(x|z_s) p(z_s) / q(z_s|x), z_s ~ q(z|x).

        It is stochastic, and its bias is O(1/S) (Burda et al. 2016, equation 8).

        Args:
          x: examples `[n, *shape]`.
          labels: conditions of the examples, in a model with a condition.
          samples: S.
          seed: of the draws.

        Raises:
          UserError: the model has no posterior, `samples` is below 1, or x or labels do not fit.
        """
        if samples < 1:
            raise UserError(f"samples must be at least 1, got {samples}")
        rows, y = self._examples(x, labels)
        return self._inference.log_prob(rows, y, samples, seed)

    @computing
    def interpolate(self, x0: Any, x1: Any, steps: int = 8, labels: Any = None) -> np.ndarray:
        """Return E[x|z] `[n, steps, *shape]` on the line from the latents of x0 to those of x1, both ends included.

        Args:
          x0, x1: examples `[n, *shape]`.
          steps: number of points on each line. Codes are interpolated by their embeddings.
          labels: conditions of the examples, in a model with a condition.

        Raises:
          UserError: the model has no posterior, `steps` is below 2, or x0, x1 or labels do not fit.
        """
        if steps < 2:
            raise UserError(f"steps must be at least 2, got {steps}")
        (first, y), (last, _) = self._examples(x0, labels), self._examples(x1, labels)
        if len(first) != len(last):
            raise UserError(f"x0 and x1 must have the same number of examples, got {len(first)} and {len(last)}")
        ends = [self._inference.embed(self._encoded(rows, y, None)) for rows in (first, last)]
        share = np.linspace(0, 1, steps, dtype=np.float32).reshape(-1, *[1] * (ends[0].ndim - 1))
        line = np.concatenate([(1 - share) * start + share * end for start, end in zip(*ends, strict=True)])
        every = None if y is None else np.repeat(y, steps, axis=0)
        return self._inference.decode(line, every, None).reshape(len(first), steps, *first.shape[1:])

    @computing
    def scores(self, split: str = "test", *, num_samples: int = 1_000, names: Sequence[str] = ()) -> dict[str, Any]:
        """Score the model on one split; the same numbers as `tfdgm eval`, in nats per example unless named otherwise.

        Args:
          split: "train", "validation" or "test".
          num_samples: draws of z per example for `nll_iwae`.
          names: of the score plugins to compute; all that apply by default.

        Raises:
          UserError: the data has no such split, a score is unknown, or `num_samples` is below 1.
        """
        with self._built.devices.scope():
            return evaluate(self._built, split, num_samples, names)

    @computing
    def examples(self, num: int = 64, split: str = "test") -> tuple[np.ndarray, np.ndarray | None]:
        """Return x `[num, *shape]` as the model sees it, evenly spaced in a split, and its labels or vectors or None.

        Raises:
          UserError: the data has no such split.
        """
        splits = self.experiment.data.splits()
        if split not in splits:
            raise UserError(f"the data has no split {split!r}; it has {', '.join(splits)}")
        source = splits[split]
        positions = evenly(len(source), min(num, len(source)))
        labels = None if self.experiment.data.spec.condition is None else source.conditions(positions)
        return self._inference.observe(source.gather(positions), 0), labels

    @property
    @in_one_message
    def metrics(self) -> "pandas.DataFrame":
        """The metrics of the training, one row for each loop, by step: losses, terms, validation scores, steps/s.

        Raises:
          UserError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError('run.metrics requires pandas: pip install "tfdgm[notebook]"') from None
        lines = self._folder.metrics()
        return pandas.DataFrame(lines, columns=None if lines else ["step", "loss"]).set_index("step")

    @computing
    def figures(self, split: str = "test") -> "dict[str, Figure]":
        """Return matplotlib figures by name: curves, and for images and points samples and reconstructions.

        Args:
          split: whose examples are reconstructed.

        Raises:
          UserError: the data has no such split.
        """
        from tfdgm.api.run_figures import figures

        return figures(self, self._built, self._folder, split)

    @in_one_message
    def save(self, folder: str | Path) -> Path:
        """Copy the workdir to a new folder, which `tfdgm.load` and every command read.

        Raises:
          UserError: the folder exists.
        """
        path = Path(folder)
        if path.exists():
            raise UserError(f"{path} exists; choose a new folder")
        shutil.copytree(self.workdir, path)
        return path

    def _examples(self, x: Any, labels: Any) -> tuple[np.ndarray, np.ndarray | None]:
        if self._built.model.posterior is None:
            raise UserError("the model has no posterior q(z|x): it can sample and decode, but not read x")
        rows = self._inputs.examples(as_array(x, "x"))
        return rows, self._inputs.required(labels, len(rows))

    def _encoded(self, rows: np.ndarray, y: np.ndarray | None, seed: int | None) -> np.ndarray:
        try:
            return self._inference.posterior(rows, y, seed)
        except NotImplementedError:
            raise UserError("q(z|x) has no mean in closed form; give a seed to draw from it") from None
