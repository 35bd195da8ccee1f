"""What the explain suite's probes find on real servers."""
