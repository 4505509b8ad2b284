"""First-party likelihoods; each file is one plugin, found by its entry point."""
