"""The package that `tfdgm plugins new` writes: a plugin of each kind that works as it stands, to be changed."""

from pathlib import Path

from tfdgm.contracts.registry import KINDS
from tfdgm.version import PLUGIN_API, __version__

_PYPROJECT = """[build-system]
requires = ["hatchling>=1.27,<2"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "The {kind} {name} for tfdgm"
requires-python = ">=3.10"
dependencies = ["tfdgm>={version}"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points."tfdgm.{kind}"]
{name} = "{module}:{cls}"
"""

_TEST = '''"""The plugin is what its entry point says, and its defaults are accepted."""

from importlib.metadata import entry_points

from {module} import {cls}


def test_the_entry_point_names_the_plugin():
    (entry,) = (e for e in entry_points(group="tfdgm.{kind}", name="{name}") if e.dist.name == "{distribution}")
    assert entry.load() is {cls}


def test_the_defaults_are_accepted():
    assert {cls}()
'''

_PRIOR = '''"""A prior for tfdgm."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, Prior


class {cls}(Prior):
    """Independent Student's t on each dimension of z: heavier tails than a Gaussian.

    Args:
      df: degrees of freedom; the Gaussian prior is the limit of large values.
    """

    plugin_api = {api}

    def __init__(self, *, df: float = 5.0) -> None:
        self.require(df > 0, f"df must be positive, got {{df}}")
        self.df = df

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size

    def distribution(self, context: Context) -> tfd.Distribution:
        return tfd.Independent(tfd.StudentT(self.df, tf.zeros([self.size]), 1.0), 1)
'''

_POSTERIOR = '''"""A posterior for tfdgm."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import Context, DataSpec, Latent, LatentSpec, Posterior


class {cls}(Posterior):
    """Independent logistic distributions; the features are location and pre-scale.

    Args:
      min_scale: lower bound on every scale.
    """

    plugin_api = {api}

    def __init__(self, *, min_scale: float = 1e-4) -> None:
        self.require(min_scale > 0, f"min_scale must be positive, got {{min_scale}}")
        self.min_scale = min_scale

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return (2 * latent.size,)

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        location, pre_scale = tf.split(features, 2, axis=-1)
        return tfd.Independent(tfd.Logistic(location, tf.nn.softplus(pre_scale) + self.min_scale), 1)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)
'''

_OBJECTIVE = '''"""An objective for tfdgm."""

from tfdgm import Context, Forward, Loss, Objective


class {cls}(Objective):
    """Minimises -E_q[log p(x|z)] + |KL(q(z|x) || p(z)) - capacity|, a rate held near a budget (Burgess et al. 2018).

    Args:
      capacity: the rate to hold, nats per example.
    """

    plugin_api = {api}
    needs_posterior = True

    def __init__(self, *, capacity: float = 5.0) -> None:
        self.require(capacity >= 0, f"capacity must not be negative, got {{capacity}}")
        self.capacity = capacity

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        value = abs(forward.rate - self.capacity) - forward.reconstruction
        return Loss(value, {{"reconstruction": forward.reconstruction, "rate": forward.rate}})
'''

_LIKELIHOOD = '''"""A likelihood for tfdgm."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood


class {cls}(Likelihood):
    """Independent Laplace distributions around the decoder's output.

    Args:
      scale: their scale, in the units of x.
    """

    plugin_api = {api}

    def __init__(self, *, scale: float = 0.1) -> None:
        self.require(scale > 0, f"scale must be positive, got {{scale}}")
        self.scale = scale

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        return tfd.Independent(tfd.Laplace(outputs, self.scale), self.event_rank)
'''

_NETWORK = '''"""A network for tfdgm."""

import math

import keras
import tensorflow as tf

from tfdgm import BuildContext, Context, Network


class {cls}(Network):
    """One affine layer.

    Args:
      use_bias: whether it has a bias.
    """

    plugin_api = {api}

    def __init__(self, *, use_bias: bool = True) -> None:
        self.use_bias = use_bias

    def build(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], context: BuildContext) -> None:
        self.input_size, self.output_shape = math.prod(input_shape), output_shape
        initializer = keras.initializers.GlorotUniform(seed=context.seed_for("kernel"))
        self.layer = keras.layers.Dense(
            math.prod(output_shape), use_bias=self.use_bias, kernel_initializer=initializer
        )
        self.layer.build((None, self.input_size))

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        return tf.reshape(self.layer(tf.reshape(x, [-1, self.input_size])), [-1, *self.output_shape])
'''

_DATA = '''"""A data set for tfdgm."""

import numpy as np

from tfdgm import ArraySource, Data, DataSpec, Source


class {cls}(Data):
    """Points of the plane on a noisy circle of radius 1.

    Args:
      noise: standard deviation around the circle.
    """

    plugin_api = {api}

    def __init__(self, *, noise: float = 0.05) -> None:
        self.require(noise > 0, f"noise must be positive, got {{noise}}")
        self.noise = noise
        self.spec = DataSpec(shape=(2,))

    def splits(self) -> dict[str, Source]:
        random = np.random.RandomState(0)
        angle = random.uniform(0, 2 * np.pi, 12_000)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1) + self.noise * random.randn(12_000, 2)
        points = points.astype(np.float32)
        return {{
            "train": ArraySource(points[:10_000]),
            "validation": ArraySource(points[10_000:11_000]),
            "test": ArraySource(points[11_000:]),
        }}
'''

TEMPLATES = {
    "prior": _PRIOR,
    "posterior": _POSTERIOR,
    "objective": _OBJECTIVE,
    "likelihood": _LIKELIHOOD,
    "network": _NETWORK,
    "data": _DATA,
}


def write_package(folder: Path, kind: str, name: str, template: str) -> None:
    """Writes pyproject.toml, the package, its README and its test below `folder`."""
    assert kind in KINDS
    module = f"tfdgm_{name}"
    cls = "".join(part.capitalize() for part in name.split("_"))
    words = {
        "distribution": folder.name, "kind": kind, "name": name, "module": module, "cls": cls,
        "api": PLUGIN_API, "version": __version__,
    }  # fmt: skip
    (folder / module).mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(_PYPROJECT.format(**words), encoding="utf-8")
    (folder / "README.md").write_text(
        f"# {folder.name}\n\nThe {kind} `{name}` for tfdgm: `{kind}.{name}` in a config.\n", encoding="utf-8"
    )
    (folder / module / "__init__.py").write_text(template.format(**words), encoding="utf-8")
    (folder / "tests" / f"test_{name}.py").write_text(_TEST.format(**words), encoding="utf-8")
