"""Warn of data that is far from what the untrained model expects, in units of the likelihood's standard deviation."""

import numpy as np
import tensorflow as tf

from tfdgm.runs.experiment import Built

#: Largest root mean square distance. A Gaussian's loss then begins at 5,000 nats for each such element of x.
_FAR = 100.0


def likelihood_scale_warnings(built: Built, x: np.ndarray) -> list[str]:
    """Return at most one line, about the element of x that is farthest from the mean of p(x|z) at decoder outputs of 0.

    Args:
      built: the experiment.
      x: examples `[n, *shape]`.

    Returns:
      A line if the distance is more than 100 standard deviations; none for a model that does not minimise
      -log p(x|z), and none for a likelihood whose standard deviation TFP does not give.
    """
    experiment = built.experiment
    if not any(each.trains_decoder and not each.critic_steps for each in experiment.objectives.values()):
        return []
    likelihood, spec = experiment.likelihood, experiment.data.spec
    p = likelihood.distribution(tf.zeros([1, *likelihood.output_shape(spec)]))
    try:
        mean, deviation = (tensor.numpy()[0].astype(np.float64) for tensor in (p.mean(), p.stddev()))
    except NotImplementedError:
        return []
    distance = np.sqrt(np.mean((x - mean) ** 2, axis=0))
    ratio = np.where(deviation > 0, distance / np.where(deviation > 0, deviation, 1), 0)
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    if not ratio[worst] > _FAR:
        return []
    place = f"x[{', '.join(map(str, worst))}]"
    return [
        f"{np.sum(ratio > _FAR):,} of {ratio.size:,} columns of x are far from what {likelihood.display_name()} "
        f"expects, and training would begin at an enormous loss: {place} is {distance[worst]:.3g} from the untrained "
        f"mean, {ratio[worst]:.3g} times the standard deviation of p(x|z), {deviation[worst]:.3g}. Standardise the "
        "data, or begin from a larger scale of the likelihood"
    ]
