"""Who is at work on a load: the generator, its workers, or the users of a locustfile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from pytest_prodready.generator.plan import Plan
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.load_generator import Generating, null_server
from pytest_prodready.probes.load_locustfile import locustfile_at_work, locustfile_plan
from pytest_prodready.probes.load_plan import plan, shapes
from pytest_prodready.probes.load_workers import Workers, carried_out


@contextmanager
def at_work(scene: Scene, workers: Workers | None) -> Iterator[tuple[Plan, Generating]]:
    """The plan, and who carries it out, as long as the block lasts."""
    settings, environment = scene.settings, scene.environment
    if settings.load.locustfile is not None:
        users = locustfile_plan(settings.load, scene.traffic.base_url, environment.folder)
        with locustfile_at_work(environment.run, users, environment.folder) as locustfile:
            yield users, locustfile
        return
    seen_at_rest = shapes(scene.traffic, settings)
    with null_server(environment.run) if workers is None else nullcontext("") as null:
        made = plan(settings, scene.traffic.base_url, null, seen_at_rest)
        with carried_out(environment.run, made, workers) as generator:
            yield made, generator
