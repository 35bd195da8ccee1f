"""Postgres, Redis, Toxiproxy and the service as containers of a Docker engine, by testcontainers."""
