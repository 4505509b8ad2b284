"""First-party priors; each file is one plugin, found by its entry point."""
