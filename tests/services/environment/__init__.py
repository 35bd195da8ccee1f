"""The local environment, on real servers."""
