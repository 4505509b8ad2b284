"""All oracles, with the quick themes first."""

import importlib

from tfdgm.verification.oracle import ORACLES

__all__ = ["ORACLES"]

_THEMES = (
    "divergences", "convergence", "parallel_lines", "transport", "likelihood", "codes", "gumbel", "flow", "bounds",
    "surgery", "discriminator", "dual",
)  # fmt: skip

for _theme in _THEMES:  # importing a theme registers its oracles
    importlib.import_module(f"tfdgm.verification.{_theme}")
