"""What a plan means on a worker's host: whose loopback is meant, and whether the service is reached."""

from __future__ import annotations

import ipaddress
import math
import socket
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.schedule import Slice

REACHED_WITHIN_S = 3.0
LISTEN = (
    "let the service listen on an address that workers reach (such as --host 0.0.0.0), or name it as"
    " [service] url"
)


def seen_from_here(plan: Plan, mine: Slice, master: str, null: str) -> Plan:
    """The plan of one worker: its share of the users, a null server of its own, the service as it sees it."""
    stages = (
        replace(each, url=null if each.null else address_from_here(each.url, master)) for each in plan.stages
    )
    return replace(plan, stages=tuple(stages), users=math.ceil(plan.users / mine.of))


def address_from_here(url: str, master: str) -> str:
    """What is on the gate's own loopback is where the gate is."""
    parts = urlsplit(url)
    if not _is_loopback(parts.hostname or "") or _is_loopback(master):
        return url
    host = f"[{master}]" if ":" in master else master
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=user + at + (f"{host}:{parts.port}" if parts.port else host)))


def unreachable(plan: Plan) -> str:
    """Why the service can't be loaded from here; empty when it can."""
    for url in dict.fromkeys(each.url for each in plan.stages):
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), REACHED_WITHIN_S).close()
        except OSError as error:
            seen = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # without a password
            return (
                f"{seen} can't be reached from {socket.gethostname()} ({error.strerror or error}): {LISTEN}"
            )
    return ""


def host_towards(master: str, port: int) -> str:
    """This host by its name and the address that it has towards the master."""
    with socket.socket(socket.AF_INET6 if ":" in master else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((master, port))
        return f"{socket.gethostname()} ({asking.getsockname()[0]})"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
