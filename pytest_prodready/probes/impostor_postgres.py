"""How the impostor speaks PostgreSQL: up to the password, which it asks for in clear text and forgets."""

from __future__ import annotations

import struct

from pytest_prodready.probes.impostor import Visit
from pytest_prodready.probes.impostor_attempts import Stage

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
PROTOCOL_3 = 3
LONGEST = 64 * 1024  # of a message that a client may send before it is authenticated

ASK_FOR_PASSWORD = b"R" + struct.pack("!ii", 8, 3)
# "Starting up" is what a client may well try again later; a wrong password could make a service give up.
STARTING_UP = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
REFUSAL = b"E" + struct.pack("!i", len(STARTING_UP) + 4) + STARTING_UP


def receive(visit: Visit) -> None:
    """Receive a client of PostgreSQL: TLS as the disguise has it, then the question for the password."""
    if visit.speaks_tls():  # sslnegotiation=direct
        visit.reached(Stage.ASKED_FOR_TLS)
        if not visit.start_tls():
            return
    while (code := _request(visit)) in (SSL_REQUEST, GSS_REQUEST):
        if code == GSS_REQUEST or visit.encrypted:
            visit.send(b"N")
            continue
        visit.reached(Stage.ASKED_FOR_TLS)
        visit.send(b"S" if visit.offers_tls else b"N")
        if visit.offers_tls and not visit.start_tls():
            return
    if code == CANCEL_REQUEST:
        visit.cancelled()  # for a connection to the real server; the next one to come may be a new one
    elif code >> 16 == PROTOCOL_3:
        visit.spoke()
        _ask_for_password(visit)


def _request(visit: Visit) -> int:
    """The code of the next untyped message; its content is thrown away."""
    length, code = struct.unpack("!ii", visit.read(8))
    if not 8 <= length <= LONGEST:
        raise ValueError("not a message of PostgreSQL")
    visit.read(length - 8)
    return int(code)


def _ask_for_password(visit: Visit) -> None:
    visit.send(ASK_FOR_PASSWORD)
    kind, length = struct.unpack("!ci", visit.read(5))
    if kind == b"p" and 5 < length <= LONGEST:
        visit.spoke(password=True)
        visit.read(length - 4)
        visit.send(REFUSAL)
