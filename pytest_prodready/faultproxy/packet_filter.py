"""Packets that are dropped for real, by a classic BPF program that Linux runs before TCP sees them.

A proxy's system acknowledges whatever reaches it, so nothing that happens in a program can look like a dead
peer to TCP. A dropped packet does: the sender retransmits, and TCP_USER_TIMEOUT and keepalive fire.
"""

from __future__ import annotations

import array
import contextlib
import functools
import select
import socket
import struct
import sys
from typing import Protocol

_ATTACH = 26  # SO_ATTACH_FILTER and SO_DETACH_FILTER, which the module `socket` doesn't name
_DETACH = 27
_LOAD_WORD = 0x20
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: 32 random bits, drawn for each packet
_WHOLE = 0xFFFFFFFF
_TRIAL_S = 0.01


class _Socket(Protocol):
    """A socket, or what asyncio gives out instead of one."""

    def setsockopt(self, level: int, name: int, value: bytes | int, /) -> None:
        """Set an option."""


def lose(sock: _Socket, fraction: float) -> None:
    """Drop this part of the packets that come in from now on; none if it is 0."""
    if fraction <= 0:
        with contextlib.suppress(OSError):  # there was none
            sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            _notice_the_dead(sock)
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)  # it is the peer who shall find us dead
    program = _drop_all() if fraction >= 1 else _drop_some(fraction)
    # The kernel copies the program during the call; until then it must stay where it is.
    code = array.array("B", b"".join(program))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", len(program), code.buffer_info()[0]))


def _notice_the_dead(sock: _Socket) -> None:
    """Ask peers that may have given up meanwhile, unheard, whether they are still there."""
    for level, name, value in (
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ):
        sock.setsockopt(level, name, value)


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, operand)


def _drop_all() -> list[bytes]:
    return [_instruction(_RETURN, 0)]


def _drop_some(fraction: float) -> list[bytes]:
    return [
        _instruction(_LOAD_WORD, _RANDOM),
        _instruction(_JUMP_IF_AT_LEAST, int(fraction * 2**32), if_false=1),
        _instruction(_RETURN, _WHOLE),
        _instruction(_RETURN, 0),
    ]


@functools.cache
def unavailable() -> str | None:
    """Why packets can't be dropped here; None if they can. Found out by dropping one."""
    if not sys.platform.startswith("linux"):
        return f"packet filters on sockets need Linux, and this is {sys.platform}"
    try:
        dropped = _trial()
    except PermissionError as error:
        return f"a packet filter on a TCP socket needs CAP_NET_ADMIN ({error.strerror})"
    except OSError as error:
        return f"this system takes no packet filter on a TCP socket ({error.strerror})"
    return None if dropped else "this system takes a packet filter on a TCP socket, and ignores it"


def _trial() -> bool:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        accepted, _ = listener.accept()
        with accepted:
            lose(accepted, 1)
            client.send(b"x")
            return not select.select([accepted], [], [], _TRIAL_S)[0]
