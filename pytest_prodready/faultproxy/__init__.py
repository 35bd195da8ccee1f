"""A TCP proxy that breaks connections on request, compatible with Toxiproxy's HTTP API.

Run it with `python -m pytest_prodready.faultproxy`. It is a process of its own, and needs nothing but the
standard library.
"""
