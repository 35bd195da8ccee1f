"""Backups of a database of our own, damaged on purpose: whether pg_restore or the comparison finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres_tools import PostgresTools, ToolRan, conninfo
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.contents import Contents, contents
from pytest_prodready.probes.contents_differences import content_differences

WITHIN_S = 60.0
FIRST, SECOND = "prodready_control", "prodready_control_restored"
MARK = b"control row 001500 of prodready"
MADE = """
    CREATE TABLE control (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text, noise text);
    INSERT INTO control (line, noise)
    SELECT 'control row ' || lpad(n::text, 6, '0') || ' of prodready', md5(n::text) || md5((-n)::text)
    FROM generate_series(1, 2000) n;
    SELECT lo_from_bytea(0, decode(md5('control'), 'hex'))
"""
FLIPPED = 1  # the bit: it makes another character of each, and of no digit or letter a special one
Damage = Literal["none", "flipped text", "flipped middle", "cut off"]


@dataclass(frozen=True, slots=True)
class Control:
    """One damaged backup, and what found the damage."""

    backup: str  # in words
    found_by: Literal["", "pg_restore", "comparison"]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Controls:
    """All of them, and whether an undamaged one passes: else finding damage proves nothing."""

    sound: bool
    tried: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    options: tuple[str, ...]
    damage: Damage


PLAIN, PACKED = ("--format", "custom", "--compress", "0"), ("--format", "custom", "--compress", "6")
KINDS = (
    _Kind("a byte flipped in an uncompressed dump", PLAIN, "flipped text"),
    _Kind("a byte flipped in a compressed dump", PACKED, "flipped middle"),
    _Kind("a byte flipped in a dump in directory format", ("--format", "directory"), "flipped middle"),
    _Kind("a dump cut off", PACKED, "cut off"),
)


def damaged_backups(environment: Environment, progress: Callable[[str], None]) -> Controls:
    """Damage a backup in each of the ways, and restore it."""
    with environment.empty_server("control") as server:
        _fresh(server, FIRST)
        with server.connect(FIRST) as connection:
            connection.execute(MADE.encode())
            before = contents(connection)
        sound = _tried(server, before, _Kind("undamaged", PLAIN, "none"))
        tried = []
        for kind in KINDS:
            progress(f"restoring {kind.name}")
            tried.append(_tried(server, before, kind))
    return Controls(not sound.found_by, tuple(tried))


def _tried(server: PostgresRole, before: Contents, kind: _Kind) -> Control:
    tools = server.tools()
    path = f"{tools.folder}/control"
    _must(
        tools.run(
            "pg_dump", "--dbname", conninfo(server, FIRST), *kind.options, "--file", path, within_s=WITHIN_S
        )
    )
    try:
        _damage(tools, path, kind.damage)
        _fresh(server, SECOND)
        target = ("--dbname", conninfo(server, SECOND))
        ran = tools.run("pg_restore", "--exit-on-error", *target, path, within_s=WITHIN_S)
        if ran.status != 0:
            return Control(kind.name, "pg_restore", _first_line(ran.printed))
        with server.connect(SECOND) as connection:
            found = content_differences(before, contents(connection))
        return Control(kind.name, "comparison" if found else "", str(found[0]) if found else "")
    finally:
        tools.remove(path)


def _damage(tools: PostgresTools, path: str, damage: Damage) -> None:
    """Damage the largest file of a backup."""
    if damage == "none":
        return
    file = max(tools.files(path), key=tools.size)
    content = bytearray(tools.read(file))
    if damage == "cut off":
        del content[len(content) * 6 // 10 :]
    else:
        place = content.index(MARK) if damage == "flipped text" else len(content) // 2
        content[place] ^= FLIPPED
    tools.write(file, bytes(content))


def _fresh(server: PostgresRole, name: str) -> None:
    """Make an empty database, in the place of one that is there."""
    with server.connect("postgres") as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))


def _must(ran: ToolRan) -> None:
    if ran.status != 0:
        raise ServerError("The gate's own control database can't be dumped.", value=str(ran))


def _first_line(printed: str) -> str:
    return printed.strip().splitlines()[0] if printed.strip() else ""
