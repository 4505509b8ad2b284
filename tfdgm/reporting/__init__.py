"""Reports for reading: pictures, curves and HTML pages."""
