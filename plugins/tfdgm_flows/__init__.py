"""What the flows among the priors and posteriors share; no plugins."""
