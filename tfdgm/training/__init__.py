"""Training: the step, the compiled loop, batches, callbacks, recovery."""
