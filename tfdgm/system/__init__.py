"""The operating system: files, locks, signals, processes, terminals, and how TensorFlow is started."""
