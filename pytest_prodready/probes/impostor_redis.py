"""How the impostor speaks Redis: it takes commands, notes whether a password came, and obeys none."""

from __future__ import annotations

from pytest_prodready.probes.impostor import Visit
from pytest_prodready.probes.impostor_attempts import Stage

LONGEST = 64 * 1024
COMMANDS = 16  # that are read from one client

NO_HELLO = b"-ERR unknown command 'HELLO'\r\n"  # makes clients fall back to AUTH
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


def receive(visit: Visit) -> None:
    """Receive a client of Redis: TLS as the disguise has it, then its first commands."""
    if visit.speaks_tls():
        visit.reached(Stage.ASKED_FOR_TLS)
        if not visit.start_tls():
            return
    for _ in range(COMMANDS):
        words = _command(visit)
        name = words[0].upper()
        password = name == b"AUTH" or (name == b"HELLO" and b"AUTH" in [word.upper() for word in words])
        visit.spoke(password=password)
        visit.send(NO_HELLO if name == b"HELLO" else LOADING)


def _command(visit: Visit) -> list[bytes]:
    """The words of the next command; arguments are kept no longer than it takes to look at them."""
    line = _line(visit)
    if not line.startswith(b"*"):
        return line.split()[:1] or [b""]
    words = []
    for _ in range(_number(line)):
        words.append(visit.read(_number(_line(visit))))
        visit.read(2)
    return words or [b""]


def _line(visit: Visit) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        line += visit.read(1)
        if len(line) > LONGEST:
            raise ValueError("not a command of Redis")
    return line[:-2]


def _number(line: bytes) -> int:
    number = int(line[1:])
    if not 0 <= number <= LONGEST:
        raise ValueError("not a command of Redis")
    return number
