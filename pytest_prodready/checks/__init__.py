"""Checks judge a measurement against limits; they do no I/O."""
