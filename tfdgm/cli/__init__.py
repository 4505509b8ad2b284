"""The command line: `tfdgm COMMAND --flags`; one module for each command, and only the one asked for is imported."""
