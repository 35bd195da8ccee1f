"""What the probes of migrations see on a real server."""
