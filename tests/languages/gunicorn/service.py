"""A job board: Flask behind gunicorn, psycopg_pool, redis-py."""

import json
import os
import threading
import time
from concurrent.futures import Future

import psycopg
import redis
from flask import Flask, request
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

ANSWERS_WITHIN_S = 2.0  # the database, or its connection is given up
CONNECTION_WITHIN_S = 0.5
CACHE_PAUSE_S = 1.0

LIST = """
SELECT j.id, j.title, j.region, o.name AS organisation
FROM jobs j JOIN organisations o ON o.id = j.organisation_id {where}
ORDER BY j.id DESC LIMIT %(limit)s
"""
SHOW = """
SELECT j.id, j.title, j.region, o.name AS organisation
FROM jobs j JOIN organisations o ON o.id = j.organisation_id WHERE j.id = %s
"""
CREATE = """
INSERT INTO jobs (organisation_id, title, region, idempotency_key) VALUES (%s, %s, %s, %s)
ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key RETURNING id
"""


class Connection(psycopg.Connection):
    """A connection that is closed when its server says nothing for too long."""

    def wait(self, gen, *args, **kwargs):
        """Wait for the server, but not for ever."""
        return super().wait(self._in_time(gen), *args, **kwargs)

    def _in_time(self, gen):
        end = time.monotonic() + ANSWERS_WITHIN_S
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end:
                    self.close()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value


class Cache:
    """Jobs in Redis; where it fails, it is left alone for a moment."""

    def __init__(self, client):
        self._client = client
        self._not_before = 0.0

    def get(self, job_id):
        """Return the job, if it is there."""
        text = self._try(self._client.get, f"job:{job_id}")
        return json.loads(text) if text else None

    def put(self, job_id, job):
        """Keep the job for a while."""
        self._try(self._client.set, f"job:{job_id}", json.dumps(job), ex=30)

    def _try(self, command, *args, **kwargs):
        if time.monotonic() < self._not_before:
            return None
        try:
            return command(*args, **kwargs)
        except redis.RedisError as error:
            self._not_before = time.monotonic() + CACHE_PAUSE_S
            told(error)
            return None


class Flights:
    """Loads under way: who asks for the same at the same time shares one."""

    def __init__(self):
        self._lock = threading.Lock()
        self._loads = {}

    def share(self, key, load):
        """Return what the load gives, of whoever began it."""
        with self._lock:
            theirs = self._loads.get(key)
            mine = self._loads.setdefault(key, Future())
        if theirs:
            return theirs.result(timeout=ANSWERS_WITHIN_S)
        try:
            mine.set_result(load())
        except BaseException as error:
            mine.set_exception(error)
        with self._lock:
            del self._loads[key]
        return mine.result()


app = Flask(__name__)
pool = ConnectionPool(
    os.environ["DATABASE_URL"],
    connection_class=Connection,
    min_size=2,
    max_size=8,
    timeout=CONNECTION_WITHIN_S,
    reconnect_timeout=1,
    check=ConnectionPool.check_connection,
    kwargs={
        "autocommit": True,
        "row_factory": dict_row,
        "connect_timeout": 2,
        "keepalives_idle": 5,
        "tcp_user_timeout": 5000,
        "options": "-c statement_timeout=5000",
    },
    open=True,
)
client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=0.3, socket_connect_timeout=0.3)
cache = Cache(client)
flights = Flights()


def rows(query, values=()):
    """Run a statement and return its rows."""
    with pool.connection() as connection:
        try:
            return connection.execute(query, values).fetchall()
        except ReadOnlySqlTransaction:
            connection.close()  # the primary was demoted: a new connection reaches its successor
            raise


def load(job_id):
    """Return the job from the database, and keep it in the cache."""
    found = rows(SHOW, (job_id,))
    if not found:
        return None
    cache.put(job_id, found[0])
    return found[0]


def told(error):
    """Log it, and leave a Redis that was demoted: new connections reach its successor."""
    app.logger.warning("unavailable: %s", type(error).__name__)
    if isinstance(error, redis.ReadOnlyError):
        client.connection_pool.disconnect(inuse_connections=False)


@app.get("/jobs")
def list_jobs():
    """Return the newest jobs, of a region or with a title if wanted."""
    wanted = {name: request.args[name] for name in ("region", "title") if name in request.args}
    where = " AND ".join(f"j.{name} = %({name})s" for name in wanted)
    wanted["limit"] = min(request.args.get("limit", 50, type=int), 100)
    return {"jobs": rows(LIST.format(where=f"WHERE {where}" if where else ""), wanted)}


@app.get("/jobs/<int:job_id>")
def show_job(job_id):
    """Return a job, from the cache if it is there."""
    job = cache.get(job_id) or flights.share(job_id, lambda: load(job_id))
    return job or ({"error": "there is no such job"}, 404)


@app.post("/jobs")
def create_job():
    """Create a job; the same Idempotency-Key creates no other."""
    job = request.get_json()
    if not job.get("title") or "organisation_id" not in job:
        return {"error": "title and organisation_id are needed"}, 422
    key = request.headers.get("Idempotency-Key")
    return rows(CREATE, (job["organisation_id"], job["title"], job.get("region", ""), key))[0], 201


@app.post("/jobs/<int:job_id>/views")
def count_view(job_id):
    """Count a view."""
    return {"views": client.incr(f"views:{job_id}")}, 201


@app.get("/jobs/<int:job_id>/views")
def show_views(job_id):
    """Return how often a job was viewed."""
    return {"views": int(client.get(f"views:{job_id}") or 0)}


@app.get("/health/live")
def live():
    """Say that the process answers."""
    return {"status": "ok"}


@app.get("/health/ready")
def ready():
    """Say whether the database answers."""
    rows("SELECT 1")
    return {"status": "ok"}


@app.errorhandler(psycopg.OperationalError)
@app.errorhandler(ReadOnlySqlTransaction)
@app.errorhandler(redis.RedisError)
@app.errorhandler(TimeoutError)
def unavailable(error):
    """Refuse politely what can't be served now."""
    told(error)
    return {"error": "unavailable"}, 503, {"Retry-After": "1"}
