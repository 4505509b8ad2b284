"""Arithmetic and randomness; depends on nothing else in tfdgm."""
