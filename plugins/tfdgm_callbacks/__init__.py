"""First-party callbacks; each file is one plugin, found by its entry point."""
