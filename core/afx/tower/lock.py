"""One Tower for each state directory, held by a lock on a file in it.

The lock ends with the process, however that ends. The file says who holds it, as a process identity, so that
`afx tower stop` can signal exactly that process.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from afx.api.errors import AfxError, ConflictError
from afx.api.process import ProcessIdentity, identify


class StateDirectoryLock:
    """The exclusive hold on a state directory, from `take` until `release` or the end of the process.

    Others learn from the file whose it is once it was signed. What they may rely on by then, such as the key,
    is made between the two.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> Self:
        """Take the lock. Whoever has it names nobody in the file until `sign`.

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
        return cls(descriptor)

    def sign(self) -> None:
        """Write into the file who holds it.

        Raises:
            AfxError: It cannot be written.
        """
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, msgspec.json.encode(identify(os.getpid())), 0)
        except OSError as error:
            raise AfxError(
                f"Nothing can be written to the state directory: {error.strerror}.", hint="Make room there."
            ) from None

    def release(self) -> None:
        """Let go of the lock. The file stays, since another may already wait for it."""
        with suppress(OSError):  # A full disk. The name in it is that of a process that is gone, then.
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    try:
        identity = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=ProcessIdentity)
    except msgspec.DecodeError:
        return ""
    return f" (pid {identity.pid})"
