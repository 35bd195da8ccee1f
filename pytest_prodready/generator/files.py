"""How many files a process may have open: each request under way is one."""

from __future__ import annotations

SPARE = 200  # for everything else
MOST = 65_536


def allow_files(wanted: int) -> None:
    """Raise the soft limit, which is often 1,024, to so many and some more, as far as the hard one allows."""
    try:
        import resource  # noqa: PLC0415 (Unix only)
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else hard
    if resource.RLIM_INFINITY != soft < min(wanted + SPARE, most):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted + SPARE, most), hard))
