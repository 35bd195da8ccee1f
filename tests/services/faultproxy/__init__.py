"""The fault proxy: one conformance suite for the built-in server and for Toxiproxy's own."""
