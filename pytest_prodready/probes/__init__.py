"""Probes act and measure; they know no limits."""
