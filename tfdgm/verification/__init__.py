"""Oracles: numbers with a known exact value, compared with what the framework computes.

Each file is a theme, and each decorated function in it an oracle. Expected values come from closed forms, enumeration,
NumPy and SciPy; computed values come from the components that training and evaluation use.
"""
