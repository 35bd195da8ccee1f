"""Reports tell what was found: on the terminal and in files."""
