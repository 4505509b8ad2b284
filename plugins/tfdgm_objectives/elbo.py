"""The evidence lower bound."""

import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, Context, Forward, Loss, Objective, Schedule, scheduled


class ELBO(Objective):
    """Minimises -E_q[log p(x|z)] + beta KL(q(z|x) || p(z)), nats per example.

    With beta = 1 it is the negative of the bound log p(x) >= ELBO (Kingma and Welling 2014, equation 3); other values
    give the beta-VAE (Higgins et al. 2017), and a schedule from 0 to 1 is KL warm-up (Bowman et al. 2016).

    Args:
      beta: weight of the rate, at most 1e6; a number or a schedule of the step. The number 0 leaves the rate out.
      weight: weight of this term among the objectives, from 1e-6 to 1e6.
    """

    needs_posterior = True

    def __init__(self, *, beta: Schedule = 1.0, weight: float = 1.0) -> None:
        self.require_not_negative("beta", beta)
        self.require_positive("weight", weight)
        self.beta = beta
        self.weight = weight
        # A number that is 0 in float32 leaves the rate out: 0 times the infinite rate of a prior of bounded support is
        # NaN, and a prior that nothing trains would go unnoticed, with gradients of 0.
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
