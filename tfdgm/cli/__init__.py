"""The command line: `tfdgm COMMAND --flags`.

Each command is a module with `define_flags(values)` and `main(values, positional)`, imported only when it runs. Its
docstring is part of its help.
"""
