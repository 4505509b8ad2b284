"""From gin files and flags to an experiment: packaged files, grammar, statements, plugins, and calls."""
