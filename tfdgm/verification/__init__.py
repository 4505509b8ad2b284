"""Oracles: numbers of this framework that are known exactly, and what it computes for them.

Each file is a theme and each function in it an oracle. What is expected comes from a closed form, from an enumeration,
or from NumPy and SciPy; what is got comes from the public parts that training and evaluation use.
"""
