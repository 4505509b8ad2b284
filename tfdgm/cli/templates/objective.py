"""An objective for tfdgm."""

from tfdgm import Context, Forward, Loss, Objective


class ExampleObjective(Objective):
    """Minimises -E_q[log p(x|z)] + |KL(q(z|x) || p(z)) - capacity|, which holds the rate near a target.

    Reference: Burgess et al. 2018.

    Args:
      capacity: the target of the rate, in nats per example.
    """

    plugin_api = 2
    needs_posterior = True

    def __init__(self, *, capacity: float = 5.0) -> None:
        self.require_not_negative("capacity", capacity)
        self.capacity = capacity

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        value = abs(forward.rate - self.capacity) - forward.reconstruction
        return Loss(value, {"reconstruction": forward.reconstruction, "rate": forward.rate})
