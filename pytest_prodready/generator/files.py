"""How many files a process may have open: each request under way is one."""

from __future__ import annotations

from contextlib import suppress

SPARE = 200  # for everything else
MOST = 65_536


def allow_files(wanted: int) -> int:
    """Raise the soft limit, which is often 1,024, to so many and some more; returns how many may be."""
    try:
        import resource  # noqa: PLC0415 (Unix only)
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else hard
    if resource.RLIM_INFINITY != soft < min(wanted + SPARE, most):
        with suppress(ValueError, OSError):  # where the system allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted + SPARE, most), hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - SPARE))
