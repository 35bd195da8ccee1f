"""PostgreSQL's log as entries: what was run, by whom, with which parameters, and how it was planned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

# As log_line_prefix on our own servers says: '%m [%p] %Q %q%u@%d %a '.
HEAD = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+) \[(?P<pid>\d+)\] (?P<query>-?\d+) "
    r"(?:(?P<user>.*?)@(?P<database>\S*) (?P<application>.*?) )??"
    r"(?P<severity>DEBUG\d?|INFO|NOTICE|WARNING|LOG|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION):"
    r"  (?P<text>.*)",
    re.DOTALL,
)
START = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ")
RUN = re.compile(
    r"duration: (?P<ms>[\d.]+) ms  "
    r"(?P<kind>statement|execute fetch from|execute) ?(?P<name>[^:]*): (?P<text>.*)",
    re.DOTALL,
)
PLAN = re.compile(r"duration: (?P<ms>[\d.]+) ms  plan:\n(?P<json>\{.*)", re.DOTALL)
PARAMETERS = re.compile(r"^parameters: ", re.IGNORECASE)
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')(?:, |$)", re.DOTALL)
# PREPARE and EXECUTE written in SQL.
PREPARED = re.compile(
    r"(?:prepare: )?\s*PREPARE\s+(?P<name>\S+)\s*(?:\([^)]*\))?\s+AS\s+(?P<text>.*)",
    re.DOTALL | re.IGNORECASE,
)
GIVEN = re.compile(r"\s*EXECUTE\s+\S+?\s*\((?P<values>.*)\)\s*;?\s*", re.DOTALL | re.IGNORECASE)
CONSTANT = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')(?:::[\w ]+)?|(?P<word>[^\s,']+))\s*(?:,|$)", re.DOTALL)
UNNAMED = "<unnamed>"
FOLLOWS = frozenset({"DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY", "LOCATION"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the server with what belongs to it."""

    pid: int
    query_id: int  # of the statement that the client sent; 0: none
    user: str
    database: str
    severity: str
    text: str
    detail: str = ""
    context: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A statement that a client sent, after it was run."""

    pid: int
    query_id: int
    text: str
    name: str  # of the prepared statement; empty for none
    parameters: tuple[str | None, ...]
    milliseconds: float
    fetch: bool = False  # more rows of the one before


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement that auto_explain saw: sent by a client, or run by a function."""

    pid: int
    query_id: int  # 0 where it isn't told: of a nested one before PostgreSQL 16
    nested: bool  # run by a function or a constraint, not sent by a client
    text: str
    parameters: tuple[str | None, ...]
    milliseconds: float
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """The planner's settings that differ from the defaults."""
        return dict(self.plan.get("Settings", {}))

    @property
    def rows(self) -> int:
        """How many rows it returned."""
        return int(self.plan.get("Plan", {}).get("Actual Rows", 0))


def entries(log: str) -> Iterator[Entry]:
    """The messages of a log, each with its DETAIL; what isn't a message belongs to the one before."""
    last: Entry | None = None
    for text in _messages(log):
        found = HEAD.fullmatch(text)
        if found is None:
            continue
        if found["severity"] in FOLLOWS:
            if last is not None and int(found["pid"]) == last.pid:
                last = _completed(last, found["severity"], found["text"])
            continue
        if last is not None:
            yield last
        last = Entry(
            pid=int(found["pid"]),
            query_id=int(found["query"]),
            user=found["user"] or "",
            database=found["database"] or "",
            severity=found["severity"],
            text=found["text"],
        )
    if last is not None:
        yield last


def _completed(entry: Entry, what: str, text: str) -> Entry:
    """The entry with a further part that was logged after it."""
    if what == "DETAIL":
        return replace(entry, detail=text)
    return replace(entry, context=text) if what == "CONTEXT" else entry


def as_run(entry: Entry) -> Run | None:
    """The statement that an entry tells of; None where it tells of something else."""
    found = RUN.fullmatch(entry.text)
    if found is None:
        return None
    if (prepared := PREPARED.fullmatch(entry.detail)) is not None:
        return Run(
            pid=entry.pid,
            query_id=entry.query_id,
            text=prepared["text"],
            name=prepared["name"],
            parameters=_given(found["text"]),
            milliseconds=float(found["ms"]),
        )
    name = "" if found["kind"] == "statement" or found["name"] == UNNAMED else found["name"]
    return Run(
        pid=entry.pid,
        query_id=entry.query_id,
        text=found["text"],
        name=name.partition("/")[0],
        parameters=parameters(PARAMETERS.sub("", entry.detail)) if PARAMETERS.match(entry.detail) else (),
        milliseconds=float(found["ms"]),
        fetch="fetch" in found["kind"],
    )


def as_planned(entry: Entry) -> Planned | None:
    """The plan that an entry tells of; None where it tells of something else, or can't be read."""
    found = PLAN.fullmatch(entry.text)
    if found is None:
        return None
    try:
        plan = json.loads(found["json"])
    except ValueError:
        return None
    nested = bool(entry.context)  # it names the function or the statement around
    return Planned(
        pid=entry.pid,
        query_id=int(plan.get("Query Identifier", 0 if nested else entry.query_id)),
        nested=nested,
        text=str(plan.pop("Query Text", "")),
        parameters=parameters(str(plan.pop("Query Parameters", ""))),
        milliseconds=float(found["ms"]),
        plan=plan,
    )


def without_prepare(text: str) -> str:
    """What a PREPARE in SQL prepares; any other statement as it is."""
    found = PREPARED.fullmatch(text)
    return text if found is None else found["text"]


def parameters(text: str) -> tuple[str | None, ...]:
    """The values in a text such as `$1 = 'it''s', $2 = NULL`, in order."""
    return tuple(
        None if value == "NULL" else value[1:-1].replace("''", "'") for _, value in PARAMETER.findall(text)
    )


def _given(text: str) -> tuple[str | None, ...]:
    """The constants of an EXECUTE in SQL, as the server would log them."""
    found = GIVEN.fullmatch(text)
    values = CONSTANT.finditer(found["values"]) if found is not None else ()
    return tuple(
        (value["text"][1:-1].replace("''", "'") if value["text"] else _word(value["word"]))
        for value in values
    )


def _word(text: str) -> str | None:
    return None if text.upper() == "NULL" else text


def _messages(log: str) -> Iterator[str]:
    """The messages with their further lines, which the server begins with a tab."""
    lines: list[str] = []
    for line in log.split("\n"):
        if START.match(line):
            if lines:
                yield "\n".join(lines)
            lines = [line]
        elif lines and line.startswith("\t"):
            lines.append(line[1:])
    if lines:
        yield "\n".join(lines)
