"""First-party scores."""
