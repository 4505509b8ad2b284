"""tfdgm from Python: `tfdgm.train`, `tfdgm.load` and the `Run` that both return."""
