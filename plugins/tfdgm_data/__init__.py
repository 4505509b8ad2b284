"""First-party data sets; each file is one plugin, found by its entry point."""
