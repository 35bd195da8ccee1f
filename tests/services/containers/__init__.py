"""Containers: real ones, on the engine of this machine."""
