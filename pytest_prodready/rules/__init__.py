"""The rules of each suite, as data."""
