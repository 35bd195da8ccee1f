"""What a service in a container is told of its servers, and what a look into it tells; without any engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.containers.application_inside import inside
from pytest_prodready.environment.containers.application_sockets import read_look
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ConfigError

HERE, THERE = Endpoint("127.0.0.1", 20001), Endpoint("faultproxy-1a", 20001)
PROXY = ("172.20.0.3", 20001)
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 040014AC:8F0C 030014AC:4E21 01 00000000:00000000 00:00000000 00000000 10001        0 501 1
   1: 040014AC:8F0D 030014AC:4E21 01 00000000:00000000 00:00000000 00000000 10001        0 502 1
   2: 040014AC:8F0E 030014AC:4E22 01 00000000:00000000 00:00000000 00000000 10001        0 503 1
"""
LOOK = """\
/proc/1/fd:
total 0
lrwx------ 1 10001 10001 64 Nov 23 04:00 3 -> 'socket:[501]'
lrwx------ 1 10001 10001 64 Nov 23 04:00 4 -> /dev/null

/proc/9/fd:
lrwx------ 1 10001 10001 64 Nov 23 04:00 3 -> socket:[501]
lrwx------ 1 10001 10001 64 Nov 23 04:00 5 -> socket:[502]
lrwx------ 1 10001 10001 64 Nov 23 04:00 6 -> socket:[503]

/proc/44/fd:
lrwx------ 1 0 0 64 Nov 23 04:00 1 -> pipe:[77]
"""
END = "beside 44\n"


def database(tmp_path: Path, **changes: Any) -> Database:
    """A database of ours, behind a proxy that the service has another name for."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("certificate")
    known = {"endpoint": HERE, "user": "u", "name": "d", "password": "p", "version": "17", "origin": "gate"}
    return Database(**{**known, "ca_file": ca_file, "inside": THERE, **changes})


def test_servers_of_ours(tmp_path: Path) -> None:
    """Names on the run's network, and the authority's certificate in one place."""
    ours = database(tmp_path)
    cache = Cache(HERE, "gate", "8", "q", tls=True, ca_file=ours.ca_file, inside=THERE)
    values, files = inside(ours, cache)
    assert values["postgres.url"] == (
        "postgresql://u:p@faultproxy-1a:20001/d?sslmode=verify-full&sslrootcert=/etc/prodready/ca.pem"
    )
    assert values["redis.url"] == "rediss://:q@faultproxy-1a:20001/0?ssl_ca_certs=/etc/prodready/ca.pem"
    assert (values["postgres.host"], values["python"]) == ("faultproxy-1a", "python")
    assert [(file.path, file.content) for file in files] == [("/etc/prodready/ca.pem", b"certificate")]


def test_a_server_of_the_users(tmp_path: Path) -> None:
    """Its address stays, and its authority's certificate comes along."""
    ca_file = tmp_path / "ca.pem"
    url = f"postgresql://u:p@db.example.com/d?sslmode=verify-full&sslrootcert={ca_file}"
    given = {"origin": "external", "inside": None, "endpoint": Endpoint("db.example.com", 5432)}
    values, files = inside(database(tmp_path, given_url=url, **given), None)
    assert values["postgres.url"] == url.replace(str(ca_file), "/etc/prodready/postgres-ca.pem")
    assert [file.path for file in files] == ["/etc/prodready/postgres-ca.pem"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_server_on_loopback(tmp_path: Path, host: str) -> None:
    """Loopback is the container's own: that is said before anything waits for it."""
    given = {"origin": "external", "inside": None, "endpoint": Endpoint(host, 5432)}
    with pytest.raises(ConfigError, match=r"loopback(.|\n)*\[postgres\] url"):
        inside(database(tmp_path, **given), None)


def test_what_a_look_tells() -> None:
    """The connections of each process to the address; not those of whoever looks."""
    held = read_look(LOOK + TABLE + END, frozenset({PROXY}))
    assert held == {1: frozenset({501}), 9: frozenset({501, 502})}


@pytest.mark.parametrize(
    "said",
    ["", TABLE + END, "ls: cannot open directory '/proc/9/fd': Permission denied\n" + LOOK + TABLE + END],
)
def test_a_look_that_does_not_tell(said: str) -> None:
    """A process that can't be looked into may hold anything: nothing is known then."""
    assert read_look(said, frozenset({PROXY})) is None
