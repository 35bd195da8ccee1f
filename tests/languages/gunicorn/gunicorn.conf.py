"""How gunicorn runs the service: more threads than can wait, so that liveness is always answered."""

workers = 2
worker_class = "gthread"
threads = 32
