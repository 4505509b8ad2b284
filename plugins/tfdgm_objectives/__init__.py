"""First-party objectives; each file is one plugin, found by its entry point."""
