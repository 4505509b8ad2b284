"""From gin files and flags to an experiment: config files, grammar, statements, plugins and calls."""
