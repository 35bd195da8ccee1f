"""What in a statement's text has a plan: the query of a cursor or of a COPY, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

TOKEN = re.compile(
    r"""
      (?P<gap>   \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> [eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*' | '[^']*(?:''[^']*)*'
                | "[^"]*(?:""[^"]*)*" | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$ )
    | (?P<parameter> \$\d+ )
    | (?P<word>  [A-Za-z_][\w$]* )
    | (?P<other> [^\s'"$;()A-Za-z_/-]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
QUERIES = frozenset({"SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"})
WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
REASONS = {
    "COPY": "COPY has no plan",
    "FETCH": "FETCH takes rows of a cursor, which is explained where it is declared",
    "MOVE": "MOVE passes rows of a cursor, which is explained where it is declared",
    "CALL": "CALL has no plan; the statements of the procedure are statements of their own",
    "DO": "DO has no plan; the statements in its block are statements of their own",
    "EXECUTE": "EXECUTE runs a statement that was prepared by SQL, whose text isn't here",
    "EXPLAIN": "it is an EXPLAIN itself",
}

CONTROL = re.compile(
    r"\s*(begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|set|reset|show|discard|deallocate"
    r"|prepare|listen|unlisten|notify|close|lock|checkpoint)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement that is neither space nor comment."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword in capitals; the sign itself for anything else."""
        return self.text.upper() if self.kind == "word" else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """The part of a statement that has a plan; `why` says why there is none."""

    text: str = ""
    why: str = ""
    writes: bool = False
    parameters: int = 0  # the highest $n
    cursor: bool = False  # planned for its first rows


def query_in(text: str) -> Query:
    """The query that a statement runs: itself, a cursor's, a COPY's; or why it has no plan."""
    tokens = list(_tokens(text))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if any(token.text == ";" for token in tokens):
        return Query(why="several statements were sent as one text")
    first = next((token.word for token in tokens if token.text != "("), "")
    if first in QUERIES:
        return _query(text, tokens)
    if first == "DECLARE":
        return _of_cursor(text, tokens) or Query(why="it is a cursor without a query")
    if first == "COPY" and len(tokens) > 1 and tokens[1].text == "(":
        return _query(text, _inside(tokens[1:]))
    return Query(why=REASONS.get(first, f"{first} has no plan" if first else "it is empty"))


def is_control(text: str) -> bool:
    """Whether a statement only directs the session or its transaction; pools ping with an empty one."""
    return not text.strip(" ;\n\t") or CONTROL.match(text) is not None


def filled(text: str, values: Sequence[str]) -> str:
    """The text with values, as SQL writes them, in the place of its parameters."""
    parts, end = [], 0
    for token in _tokens(text):
        if token.kind == "parameter" and 0 < int(token.text[1:]) <= len(values):
            parts += [text[end : token.start], values[int(token.text[1:]) - 1]]
            end = token.end
    return "".join([*parts, text[end:]])


def _tokens(text: str) -> Iterator[Token]:
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "gap":
            yield Token(kind, match[0], match.start(), match.end())


def _of_cursor(text: str, tokens: list[Token]) -> Query | None:
    place = next((number for number, token in enumerate(tokens) if token.word == "FOR"), None)
    if place is None or place + 1 == len(tokens):
        return None
    return replace(_query(text, tokens[place + 1 :]), cursor=True)


def _inside(tokens: list[Token]) -> list[Token]:
    """The tokens between the first parenthesis and its other half."""
    depth = 0
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return tokens[1:number]
    return tokens[1:]


def _query(text: str, tokens: list[Token]) -> Query:
    numbers = [int(token.text[1:]) for token in tokens if token.kind == "parameter"]
    return Query(
        text=text[tokens[0].start : tokens[-1].end],
        writes=any(token.word in WRITING for token in tokens),
        parameters=max(numbers, default=0),
    )
