"""A program: `python own_hosts.py HOSTS COMMAND …` runs a command that sees HOSTS as its /etc/hosts.

It becomes the command, in a mount namespace of its own; nothing of it is left when the command has ended.
An ordinary user needs a user namespace for that, in which the command is who it was before. It is run as a
file, in isolation from the service's own Python settings, and so imports nothing of this package.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
HOSTS = "/etc/hosts"
FAILED = 125

libc = ctypes.CDLL(None, use_errno=True)


def main(hosts: str, *command: str) -> None:
    """Replace this program by the command."""
    try:
        _leave_the_others()
        _mount(None, "/", MS_REC | MS_PRIVATE)  # what is mounted here stays here
        _mount(hosts, HOSTS, MS_BIND)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and so by the command
            signal.signal(ignored, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 (that is what it is for)
    except OSError as error:
        sys.stderr.write(f"{error.filename or command[0]}: {error.strerror}\n")
        raise SystemExit(FAILED) from None


def _leave_the_others() -> None:
    """Enter a mount namespace: as root, or as an ordinary user within a user namespace."""
    if libc.unshare(CLONE_NEWNS) == 0:
        return
    user, group = os.geteuid(), os.getegid()
    _checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "a user namespace with a mount namespace")
    Path("/proc/self/setgroups").write_text("deny")  # else an ordinary user may not map a group
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(source: str | None, target: str, flags: int) -> None:
    where = source.encode() if source is not None else None
    _checked(libc.mount(where, target.encode(), None, flags, None), f"mounting {source or 'privately'}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main(*sys.argv[1:])
