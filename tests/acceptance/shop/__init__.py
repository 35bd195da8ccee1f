"""A small shop, copied into the folder of a test run: a user's code with tests of its own."""
