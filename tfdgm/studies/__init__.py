"""Every combination of what is installed, trained and scored: `tfdgm matrix`. Nothing in here imports TensorFlow, but
for the process that `check` is.
"""
