"""The evidence lower bound."""

import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, Context, Forward, Loss, Objective, Schedule, scheduled


class ELBO(Objective):
    """Minimises -E_q[log p(x|z)] + beta KL(q(z|x) || p(z)), nats per example.

    With beta = 1 it is -ELBO, an upper bound on -log p(x) (Kingma and Welling 2014, equation 3); other values
    give the beta-VAE (Higgins et al. 2017), and a schedule from 0 to 1 is KL warm-up (Bowman et al. 2016).

    Args:
      beta: weight of the rate, at most 1e6; a number or a schedule of the step. The number 0 omits the rate.
      weight: weight of this objective in the sum of all, between 1e-6 and 1e6.
    """

    needs_posterior = True

    def __init__(self, *, beta: Schedule = 1.0, weight: float = 1.0) -> None:
        self.require_not_negative("beta", beta)
        self.require_positive("weight", weight)
        self.beta = beta
        self.weight = weight
        # A number that is 0 in float32 omits the rate: 0 times the infinite rate under a prior of bounded support is
        # NaN, and an untrained prior would go unnoticed, with gradients of 0.
        self.reads_rate = not isinstance(beta, (int, float)) or np.float32(beta) != 0

    def build(self, context: BuildContext) -> None:
        self.require_not_negative("beta", self.beta, steps=context.steps)

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        reconstruction, rate = forward.reconstruction, forward.rate
        value = -reconstruction
        if self.reads_rate:
            value += scheduled(self.beta, context.step) * rate
        metrics = {"elbo": reconstruction - rate, "reconstruction": reconstruction, "rate": rate}
        return Loss(value, {name: tf.convert_to_tensor(metric) for name, metric in metrics.items()})
