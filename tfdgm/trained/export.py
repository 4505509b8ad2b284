"""Export of a trained model as a self-contained SavedModel."""

from pathlib import Path

import tensorflow as tf

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Context
from tfdgm.errors import UserError
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Built
from tfdgm.runs.placed import placed
from tfdgm.runs.workdir import Workdir
from tfdgm.system.files import replacing_folder
from tfdgm.trained.inference import log_prob_bound


class Exported(tf.Module):
    """The functions of a model, each a pure function of its arguments, for any batch size.

    `sample`, `encode`, `reconstruct` and `log_prob` take a seed, int32 `[2]`. `decode`, `encode_mean` and
    `reconstruct_mean` draw nothing and take none. In a model with a condition each also takes y, one for each draw or
    row of x or z.

    `tf.saved_model.load` loads it without tfdgm.
    """

    def __init__(self, built: Built, num_samples: int) -> None:
        super().__init__()
        self._model = built.model
        self._num_samples = num_samples
        self.weights = [raw(variable) for variable in built.state.variables.values()]
        shape = [None, *built.experiment.data.spec.shape]
        x, seed = tf.TensorSpec(shape, tf.float32, "x"), tf.TensorSpec([2], tf.int32, "seed")
        condition = built.model.condition
        given = [] if condition is None else [tf.TensorSpec([None, *condition.shape], condition.dtype, "y")]
        latent = built.model.latent
        z = tf.TensorSpec([None, *latent.event_shape], tf.int32 if latent.discrete else tf.float32, "z")
        self.decode = tf.function(self._decode, [z, *given], autograph=False)
        self.sample = tf.function(self._sample, [tf.TensorSpec([], tf.int32, "num"), seed, *given], autograph=False)
        if built.model.posterior is not None:
            self.encode = tf.function(self._encode, [x, seed, *given], autograph=False)
            self.reconstruct = tf.function(self._reconstruct, [x, seed, *given], autograph=False)
            self.log_prob = tf.function(self._log_prob, [x, seed, *given], autograph=False)
            if self._has_centre(x, given):
                self.encode_mean = tf.function(self._encode_mean, [x, *given], autograph=False)
                self.reconstruct_mean = tf.function(self._reconstruct_mean, [x, *given], autograph=False)

    def _context(self, seed: tf.Tensor, y: tf.Tensor | None) -> Context:
        return self._model.with_inference(Context(seed, tf.constant(0, tf.int64), y=y))

    def _sample(self, num: tf.Tensor, seed: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Draw `num` times: z from the prior, x from the model given z, and mean = E[x|z]; `num` conditions, if any."""
        context = self._context(seed, y)
        z, likelihood = self._model.generate(num, context)
        return {"x": self._model.example(likelihood, context), "mean": likelihood.mean(), "z": z}

    def _has_centre(self, x: tf.TensorSpec, given: list[tf.TensorSpec]) -> bool:
        """Return whether q(z|x) has a mean, or for codes a mode."""
        try:
            tf.function(self._encode_mean, autograph=False).get_concrete_function(x, *given)
        except NotImplementedError:
            return False
        return True

    def _decode(self, z: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return E[x|z]."""
        return {"mean": self._model.decode(self._model.embed(z), self._context(tf.zeros([2], tf.int32), y)).mean()}

    def _encode_mean(self, x: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return the mean of q(z|x); for codes its mode."""
        posterior = self._model.infer(x, self._context(tf.zeros([2], tf.int32), y))
        return {"z": posterior.mode() if self._model.latent.discrete else posterior.mean()}

    def _reconstruct_mean(self, x: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return E[x'|z] at the mean of q(z|x); for codes at its mode."""
        return self._decode(self._encode_mean(x, y)["z"], y)

    def _encode(self, x: tf.Tensor, seed: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Draw z from q(z|x) for each row of x; also return the mean of q(z|x), for vectors, if TFP has it."""
        context = self._context(seed, y)
        posterior = self._model.infer(x, context)
        encoded = {"z": posterior.sample(seed=context.seed_for("draws"))}
        if self._model.latent.discrete:
            return encoded
        try:
            return {**encoded, "mean": posterior.mean()}
        except NotImplementedError:
            return encoded

    def _reconstruct(self, x: tf.Tensor, seed: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return E[x'|z] at one z ~ q(z|x)."""
        value = self._encode(x, seed, y)["z"]
        return {"mean": self._model.decode(self._model.embed(value), self._context(seed, y)).mean()}

    def _log_prob(self, x: tf.Tensor, seed: tf.Tensor, y: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return the bound log (1/S) sum_s p(x|z_s) p(z_s) / q(z_s|x) on log p(x), nats, `[batch]`."""
        return {"log_prob": log_prob_bound(self._model, x, self._context(seed, y), seed, self._num_samples)}

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Return the functions that the model has, by name; `serving_default` is `decode`, which every model has."""
        names = ("sample", "decode", "encode", "encode_mean", "reconstruct", "reconstruct_mean", "log_prob")
        found = {name: getattr(self, name).get_concrete_function() for name in names if hasattr(self, name)}
        return {**found, "serving_default": found["decode"]}


def export(built: Built, workdir: Workdir, output: Path, num_samples: int) -> None:
    """Write the SavedModel, with config and checkpoint, so that eval and sample accept the folder as a workdir.

    Args:
      built: the experiment with its trained weights; moving averages are used if there are any.
      workdir: the source of `config.gin` and `run.json`.
      output: the folder to write.
      num_samples: S, the number of draws per example in `log_prob`.

    Raises:
      UserError: TensorFlow cannot write to a path that is not UTF-8.
    """
    step = int(built.state.step.numpy())
    with replacing_folder(output) as folder:
        with built.state.averaged():
            module = Exported(built, num_samples)
            try:
                tf.saved_model.save(module, str(folder), signatures=module.signatures())
            except UnicodeError:
                raise UserError(f"TensorFlow cannot write to {output}, whose name is not UTF-8") from None
        config, exported = workdir.saved_config(), Workdir(folder)
        if config is not None:
            config = placed(config, workdir.path.resolve())  # data of the workdir stays there
            exported.write("config.gin", config)
        if record := workdir.run_record():
            exported.write_json("run.json", record)
        data = built.experiment.data_identity()
        Checkpoints(exported.checkpoints).save(Checkpoint(step, built.state.read(), config=config, data=data))
