"""A file system that is soon full, which only one process and its children see: no root needed, nothing to clean up."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_PR_SET_DUMPABLE = 4


def mounting(directory: Path, megabytes: int) -> Callable[[], None]:
    """What a process does to see a file system of that size in a directory; OSError where that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def mount() -> None:
        user, group = os.geteuid(), os.getegid()
        # A process that was root a moment ago may not write below /proc/self.
        check(libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))
        check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        options = f"size={megabytes}m".encode()
        check(libc.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", 0, options))

    return mount
