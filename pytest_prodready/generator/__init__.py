"""The load generator: Locust on an open schedule, in a process of its own. It imports nothing of the rest."""
