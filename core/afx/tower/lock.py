"""One Tower for each state directory, held by a lock on a file in it.

The lock ends with the process, however that ends. The file says who holds it, as a process identity, so that
`afx tower stop` can signal exactly that process.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from afx.api.errors import AfxError, ConflictError
from afx.api.process import ProcessIdentity, identify


class StateDirectoryLock:
    """The exclusive hold on a state directory, from `take` until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> Self:
        """Take the lock.

        Raises:
            ConflictError: Another Tower holds it.
            AfxError: The directory cannot be used.
        """
        path = directory / "tower.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise AfxError(f"{path} cannot be opened: {error.strerror}.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise ConflictError(
                f"A Tower{holder} already serves {directory}.",
                hint="`afx tower status` shows it; `afx tower stop` ends it.",
                code="already-running",
            ) from None
        identity = identify(os.getpid())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(identity), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let go of the lock. The file stays, since another may already wait for it."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    try:
        identity = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=ProcessIdentity)
    except msgspec.DecodeError:
        return ""
    return f" (pid {identity.pid})"
