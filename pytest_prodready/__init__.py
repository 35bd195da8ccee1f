"""Prove that a service is ready for production, or say exactly what isn't."""

__version__ = "0.1.0"
