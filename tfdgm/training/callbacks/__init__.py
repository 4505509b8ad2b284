"""The callbacks of every training, one module each."""
