"""A job board: the reference service of pytest-prodready."""
