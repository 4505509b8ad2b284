"""What people read of a run: pictures, curves, the page."""
