"""Diagnostics of a trained model."""
