"""What is measured: the framework, and others doing the same.

Each builder takes a `Size` and returns a `Work`; it imports the library that it measures, and no other.
"""
