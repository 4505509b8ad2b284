"""Studies: train and score every combination of the installed plugins, as `tfdgm matrix` does.

Only the child process of `validator` imports TensorFlow.
"""
