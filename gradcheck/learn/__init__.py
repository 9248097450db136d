"""Exercises cut from our own sources, and their marking by finite differences."""
