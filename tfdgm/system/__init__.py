"""The operating system: files, locks, signals, processes, terminals, and the start of TensorFlow."""
