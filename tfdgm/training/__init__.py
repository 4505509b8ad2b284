"""Training: players, the step, the compiled loop, checkpoints."""
