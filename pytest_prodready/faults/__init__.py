"""Faults between a service and its servers, injected by a fault proxy and undone on leaving a `with`."""

from pytest_prodready.faults.applied import Applied, Only, Stream, older_than, younger_than
from pytest_prodready.faults.proxied import Connections, Proxied
from pytest_prodready.faults.server import TIMEOUT_S, FaultProxy
from pytest_prodready.faults.wire import FaultProxyError, UnsupportedFault

__all__ = [
    "TIMEOUT_S",
    "Applied",
    "Connections",
    "FaultProxy",
    "FaultProxyError",
    "Only",
    "Proxied",
    "Stream",
    "UnsupportedFault",
    "older_than",
    "younger_than",
]
