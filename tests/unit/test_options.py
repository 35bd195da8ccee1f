"""The options as the command that repeats a finding has them."""

from __future__ import annotations

import shlex
from pathlib import Path

from pytest_prodready.generators import Generators
from pytest_prodready.options import SAVING_RULE, Options


def test_options_are_repeated() -> None:
    """What differs from the defaults is repeated, in words that a shell takes apart as they were."""
    options = Options(
        backend="processes",
        assignments=("load.expected_rps=5", "service.url=http://staging:8000/", "load.locustfile="),
        load_compare=Path("two words.json"),
        generators=Generators(workers=2),
    )
    assert shlex.split(" ".join(options.as_arguments())) == [
        "--prodready-backend=processes",
        "--prodready-load-compare=two words.json",
        "--prodready-set=load.expected_rps=5",
        "--prodready-set=service.url=http://staging:8000/",
        "--prodready-set=load.locustfile=",
        "--prodready-load-workers=2",
    ]
    assert Options().as_arguments() == ()


def test_a_file_is_written_by_one_rule() -> None:
    """Only the rule that keeps the load is repeated with the file that it is kept in."""
    options = Options(load_save=Path("kept.json"))
    assert options.as_arguments("load.stays-up") == ()
    assert options.as_arguments(SAVING_RULE) == ("--prodready-load-save=kept.json",)


def test_no_secret_is_repeated() -> None:
    """A value that may hold a password is left out: all that isn't a number, a word, or a path."""
    hidden = (
        "postgres.url=postgresql://a:b@c/d",
        "service.url=http://a:b@c",
        "service.env.API_TOKEN=hunter2",
        "service.env.PGPASS=hunter2",
        'service.env={DB_PASSWORD="hunter2"}',
        "service.command=run --password hunter2",
        'requests=[{path="/", headers={Authorization="Bearer hunter2"}}]',
    )
    told = " ".join(Options(assignments=hidden).as_arguments())
    assert shlex.split(told) == [f"--prodready-set={each.partition('=')[0]}=…" for each in hidden]
