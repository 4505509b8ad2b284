"""Arithmetic and randomness that everything above shares; depends on nothing else in tfdgm."""
