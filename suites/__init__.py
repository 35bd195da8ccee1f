"""The readiness suites: one test per rule, reading like the checklist."""
