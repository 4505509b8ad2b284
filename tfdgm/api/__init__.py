"""tfdgm from Python: `tfdgm.train`, `tfdgm.load` and the `TrainedRun` that both return."""
