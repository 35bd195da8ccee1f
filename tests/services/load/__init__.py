"""The load generator and its probe, on services of a few lines whose behaviour is known."""
