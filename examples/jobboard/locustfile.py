"""People on the job board: `locust -f locustfile.py --host http://127.0.0.1:8000`, or the gate's load by users."""

import random
import uuid

from locust import FastHttpUser, HttpUser, between, task

REGIONS = 8


class Applicant(FastHttpUser):
    """Looks at a page of jobs, then at one of them."""

    weight = 5
    wait_time = between(0.8, 1.2)

    def on_start(self) -> None:
        """Everybody begins at the first page."""
        self.jobs = [1]
        self.look_around()

    @task(3)
    def look_around(self) -> None:
        """A page of one region's jobs."""
        path = f"/jobs?region=Region%20{random.randrange(REGIONS)}&limit=20"
        with self.client.get(path, name="/jobs?region", catch_response=True) as response:
            if response.status_code != 200:
                return
            answer = response.json()
            if "jobs" not in answer:
                response.failure("no page of jobs")
                return
            self.jobs = [job["id"] for job in answer["jobs"]] or self.jobs

    @task(2)
    def show(self) -> None:
        """One of the jobs that were on the page."""
        self.client.get(f"/jobs/{random.choice(self.jobs)}", name="/jobs/ID")


class Employer(HttpUser):
    """Offers a job now and then."""

    weight = 1
    wait_time = between(0.8, 1.2)

    @task
    def offer(self) -> None:
        """A new job, once however often it is sent."""
        key = uuid.uuid4().hex
        job = {"organisation_id": 1, "title": key, "description": "…", "district": "Mitte", "region": "north"}
        self.client.post("/jobs", json=job, headers={"Idempotency-Key": key}, name="offer a job")
