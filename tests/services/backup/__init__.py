"""What the backup suite's probes find on real servers."""
