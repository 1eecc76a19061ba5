"""A lock that a dead process cannot keep."""

import contextlib
import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import TextIO

from harvester.errors import LockedError


def hold(path: Path) -> TextIO:
    """Locks a file until it is closed; the system gives the lock of a dead process back by itself.

    Raises:
        LockedError: Another process holds it; the message says who, where and since when.
        OSError: It cannot be made or written.
    """
    with contextlib.ExitStack() as unless_locked:
        file = unless_locked.enter_context(path.open("a+", encoding="utf-8"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LockedError(f"another run holds {path.parent}: {holder}. Wait for it, or stop it.") from None
        file.seek(0)
        file.truncate()
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        file.write(f"pid {os.getpid()} on {socket.gethostname()} since {since}\n")
        file.flush()
        unless_locked.pop_all()
    return file
