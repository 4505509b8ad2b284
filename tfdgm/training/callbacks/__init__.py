"""The callbacks of every training, each one idea."""
