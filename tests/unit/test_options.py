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
        assignments=("load.expected_rps=5", 'service.name="a b"', "load.locustfile="),
        load_compare=Path("two words.json"),
        generators=Generators(workers=2),
    )
    assert shlex.split(" ".join(options.as_arguments())) == [
        "--prodready-backend=processes",
        "--prodready-load-compare=two words.json",
        "--prodready-set=load.expected_rps=5",
        '--prodready-set=service.name="a b"',
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
    """A value that may hold a password is left out: by the key's name, or as an address with a user."""
    hidden = (
        "postgres.url=postgresql://a:b@c/d",
        "service.env.API_TOKEN=x",
        "service.command=run --dsn p://a:b@c",
    )
    told = " ".join(Options(assignments=hidden).as_arguments())
    assert shlex.split(told) == [
        "--prodready-set=postgres.url=…",
        "--prodready-set=service.env.API_TOKEN=…",
        "--prodready-set=service.command=…",
    ]
