"""First-party posteriors; each file is one plugin, found by its entry point."""
