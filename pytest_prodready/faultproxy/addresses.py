"""Addresses to listen on and to connect to, written as Toxiproxy writes them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import dataclass

from pytest_prodready.faultproxy.refusals import ListenError

_ALL_IPV4 = "0.0.0.0"  # noqa: S104 (only where a client asks for it)


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved host, empty for all interfaces, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def split(address: str) -> tuple[str, str]:
    """Host and port of `host:port` or `[host]:port`."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        raise ListenError(f"address {address}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    if address.startswith("[") and "]" not in address:
        raise ListenError(f"address {address}: missing ']' in address")
    if ":" in host:
        raise ListenError(f"address {address}: too many colons in address")
    return host, port


def port_number(port: str) -> int:
    """A port's number; the names of services are known too, and an empty one is 0."""
    if port[1 if port.startswith(("+", "-")) else 0 :].isdecimal():
        number = int(port)
        if 0 <= number <= 65535:
            return number
        raise ListenError(f"address {port}: invalid port")
    if not port:
        return 0
    try:
        return socket.getservbyname(port, "tcp")
    except OSError as error:
        raise ListenError(f"lookup tcp/{port}: unknown port") from error


def to_dial(upstream: str) -> tuple[str, int]:
    """Host and port to connect to."""
    host, port = split(upstream)
    return host or "localhost", port_number(port)


async def resolve(address: str) -> Address:
    """The address with its host looked up, IPv4 first."""
    if not address:
        return Address("", 0)
    host, port = split(address)
    number = port_number(port)
    if not host or _literal(host):
        return Address(host, number)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, number, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # the latter for what can't be a name at all
        raise ListenError(f"lookup {host}: no such host") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return Address(str(found[0][4][0]), number)


def _literal(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True


def bind(address: Address) -> socket.socket:
    """A socket bound to the address, not yet listening.

    SO_REUSEADDR lets a port be taken again while connections of its last owner linger in TIME_WAIT.
    """
    everywhere = address.host in ("", _ALL_IPV4, "::")
    family, host = _family_and_host(address.host, everywhere)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if everywhere else 1)
        sock.bind((host, address.port))
    except OSError as error:
        sock.close()
        raise refused(address, error) from error
    return sock


def _family_and_host(host: str, everywhere: bool) -> tuple[socket.AddressFamily, str]:
    if everywhere:
        return (socket.AF_INET6, "::") if _has_ipv6() else (socket.AF_INET, _ALL_IPV4)
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), host


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::", 0))
    except OSError:
        return False
    return True


def refused(address: Address, error: OSError) -> ListenError:
    """Why the system didn't let us listen."""
    reason = os.strerror(error.errno or errno.EINVAL)
    return ListenError(f"listen tcp {address}: bind: {reason[:1].lower()}{reason[1:]}")


def address_of(sock: socket.socket) -> Address:
    """Where a bound socket listens."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)
