"""A hint to the file system, without which run after run in one folder gets slower and slower."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

LONG = struct.calcsize("l") << 16
GET_FLAGS, SET_FLAGS = 0x8000_6601 | LONG, 0x4000_6602 | LONG  # linux/fs.h
TOP_OF_HIERARCHY = 0x0002_0000  # chattr +T


def spread(folder: Path) -> None:
    """Ask ext4 to put each subfolder into another part of the disk; elsewhere this does nothing.

    By default all of them share one, and there ext4 steps over every file that was deleted in the last
    seconds whenever it makes a new one: a data directory of 1,000 files took 0.8 s instead of 0.1 s to copy.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            told = fcntl.ioctl(descriptor, GET_FLAGS, bytes(struct.calcsize("l")))
            flags = struct.unpack_from("i", told)[0]
            fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("l", flags | TOP_OF_HIERARCHY))
        finally:
            os.close(descriptor)
