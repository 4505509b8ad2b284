"""The command line: `tfdgm COMMAND --flags`. Each command is a module, imported only when it runs."""
