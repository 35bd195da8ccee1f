"""The tests of pytest-prodready."""
