"""tfdgm: deep generative models as prior, likelihood, posterior and objectives, each a plugin.

Everything a plugin needs is a public name of this package. Names are resolved on first use, so that `import tfdgm`
does not import TensorFlow, and that `python -m tfdgm` imports nothing before it has cleaned its path.
"""

import importlib

from tfdgm.version import PLUGIN_API, __version__

TYPE_CHECKING = False  # `typing` has one, which is not needed for this
if TYPE_CHECKING:
    from typing import Any

_HOME = {
    "train": "tfdgm.api.start",
    "load": "tfdgm.api.start",
    "TrainedRun": "tfdgm.api.run",
    "Samples": "tfdgm.trained.sampling",
    "Sampler": "tfdgm.trained.sampling",
    "Reconstructor": "tfdgm.trained.sampling",
    "pixels": "tfdgm.reporting.pictures",
    "UserError": "tfdgm.errors",
    "NonFiniteError": "tfdgm.errors",
    "Prior": "tfdgm.contracts.prior",
    "Posterior": "tfdgm.contracts.posterior",
    "Latent": "tfdgm.contracts.posterior",
    "LatentSpec": "tfdgm.contracts.specs",
    "DataSpec": "tfdgm.contracts.specs",
    "ConditionSpec": "tfdgm.contracts.condition",
    "TableSpec": "tfdgm.contracts.table_spec",
    "Column": "tfdgm.contracts.table_spec",
    "Scaling": "tfdgm.contracts.scaling",
    "BuildContext": "tfdgm.contracts.specs",
    "Likelihood": "tfdgm.contracts.likelihood",
    "Objective": "tfdgm.contracts.objective",
    "Loss": "tfdgm.contracts.objective",
    "Network": "tfdgm.contracts.network",
    "Data": "tfdgm.contracts.data",
    "Source": "tfdgm.contracts.data",
    "ArraySource": "tfdgm.contracts.data",
    "Modes": "tfdgm.contracts.data",
    "FilePath": "tfdgm.contracts.fingerprint",
    "fingerprint_files": "tfdgm.contracts.fingerprint",
    "Callback": "tfdgm.contracts.callback",
    "Training": "tfdgm.contracts.callback",
    "Score": "tfdgm.contracts.score",
    "Evaluation": "tfdgm.contracts.score",
    "Comparison": "tfdgm.contracts.score",
    "PosteriorDraws": "tfdgm.contracts.score",
    "Quantity": "tfdgm.contracts.quantity",
    "Component": "tfdgm.contracts.component",
    "AnyFloat": "tfdgm.contracts.component",
    "Context": "tfdgm.contracts.context",
    "Summed": "tfdgm.contracts.context",
    "Concatenated": "tfdgm.contracts.context",
    "Schedule": "tfdgm.contracts.schedule",
    "scheduled": "tfdgm.contracts.schedule",
    "CustomDistribution": "tfdgm.numerics.custom_distribution",
    "single_draw_rate": "tfdgm.model.rate",
    "code_log_probabilities": "tfdgm.model.code_densities",
    "gaussian_log_densities": "tfdgm.numerics.gaussians",
    "full_precision_product": "tfdgm.numerics.products",
    "mixture_densities": "tfdgm.model.code_densities",
    "embed_one_hot": "tfdgm.numerics.embeddings",
    "straight_through": "tfdgm.numerics.gradients",
    "uniform_draws": "tfdgm.numerics.randomness",
    "substituted": "tfdgm.contracts.substitution",
    "mode_scores": "tfdgm.evaluation.modes",
    "precision_recall": "tfdgm.evaluation.precision_recall",
    "frechet_distance": "tfdgm.evaluation.frechet",
    "mmd": "tfdgm.evaluation.mmd",
    "median_distance": "tfdgm.evaluation.mmd",
    "wasserstein": "tfdgm.evaluation.transport",
    "sliced_wasserstein": "tfdgm.evaluation.transport",
    "Model": "tfdgm.model.model",
    "Forward": "tfdgm.contracts.forward",
    "Experiment": "tfdgm.runs.experiment",
    "experiment": "tfdgm.runs.settings",
    "user_cache": "tfdgm.system.user_cache",
    "warn": "tfdgm.system.console",
}

__all__ = ["PLUGIN_API", "__version__", *sorted(_HOME)]


def __getattr__(name: str) -> "Any":
    if name not in _HOME:
        raise AttributeError(f"module 'tfdgm' has no attribute {name!r}")
    importlib.import_module("tfdgm.system.platforms").check_platform()
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
