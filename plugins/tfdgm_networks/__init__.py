"""First-party networks; each file is one plugin, found by its entry point."""
