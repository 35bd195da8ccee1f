"""Limits on the statements that a user's own test runs: the markers max_queries and explain_budget."""
