"""Locustfiles as users write them, and as they go wrong."""

GOOD = """
import random

from locust import FastHttpUser, HttpUser, LoadTestShape, between, constant_pacing, events, tag, task

started = []


@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--greeting", default="none")


@events.test_start.add_listener
def begin(environment, **_):
    started.append(environment.parsed_options.greeting)
    print("greeting", started, environment.host is not None, flush=True)


@events.request.add_listener
def heard(name, exception, **_):
    assert started == ["hello"]


class Visitor(HttpUser):
    host = "http://127.0.0.1:9"  # where they run it otherwise
    weight = 3
    wait_time = between(0.35, 0.45)

    def on_start(self):
        self.client.get("/items", name="home")

    @task(3)
    def items(self):
        self.client.get("/items", params={"page": random.randrange(1000)}, name="/items?page")

    @tag("searching")
    @task
    def search(self):
        with self.client.get("/items?title=none", catch_response=True, name="search") as response:
            if response.json()["items"]:
                response.failure("found what isn't there")


class Writer(FastHttpUser):
    wait_time = constant_pacing(0.4)

    @task
    def write(self):
        with self.rest("POST", "/items", json={"title": "a"}, name="write") as answer:
            if answer.js is None or "id" not in answer.js:
                answer.failure("no id")


class Shape(LoadTestShape):
    def tick(self):
        return None
"""

USER = """
import os
import sys
import time

from locust import FastHttpUser, HttpUser, constant, events, task


class Visitor(HttpUser):
    wait_time = constant(0.4)

    @task
    def items(self):
        self.client.get("/items")
"""

MARKS_FAILURES = USER.replace(
    'self.client.get("/items")',
    'with self.client.get("/items", catch_response=True) as response:\n            response.failure("wrong")',
)
IN_A_HURRY = USER.replace("constant(0.4)", "constant(0.02)").replace("HttpUser)", "FastHttpUser)")
