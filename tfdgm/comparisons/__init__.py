"""Runs side by side: their settings that differ, their scores over seeds, tables and a page."""
