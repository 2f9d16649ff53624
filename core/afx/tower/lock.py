"""One Tower for each state directory, held by a lock on a file in it, and on the directory itself.

The lock ends with the process, however that ends. The file says who holds it, as a process identity, so that
`afx tower stop` can signal exactly that process. Files in the directory are deleted by people who take them
for stale; the directory's own lock still keeps a second Tower out then.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, suppress
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

    def __init__(self, descriptor: int, directory: int) -> None:
        self._descriptor = descriptor
        self._directory = directory

    @classmethod
    def take(cls, directory: Path) -> Self:
        """Take the lock. Whoever has it names nobody in the file until `sign`.

        Raises:
            ConflictError: Another Tower holds it.
            AfxError: The directory cannot be used.
        """
        path = directory / "tower.lock"
        with ExitStack() as opened:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                opened.callback(os.close, descriptor)
                itself = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                opened.callback(os.close, itself)
            except OSError as error:
                raise AfxError(
                    f"{path} cannot be opened: {error.strerror}.",
                    hint="`afx doctor` looks at the state directory.",
                ) from None
            if not (_lock(descriptor) and _lock_directory(itself)):
                raise _taken(directory, _holder(descriptor))
            opened.pop_all()
        return cls(descriptor, itself)

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
        os.close(self._directory)


def _lock(descriptor: int) -> bool:
    """Lock what is open; tell whether nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_directory(descriptor: int) -> bool:
    """As `_lock`, for a directory. File systems that lock none, such as NFS, keep nobody out."""
    try:
        return _lock(descriptor)
    except OSError:
        return True


def _taken(directory: Path, holder: ProcessIdentity | None) -> ConflictError:
    if holder is None:
        return ConflictError(
            f"A Tower already serves {directory}, and nothing there says which process it is.",
            hint="Were its files deleted? `pgrep -f afx.server` finds it; terminals outlive its end.",
            code="already-running",
        )
    return ConflictError(
        f"A Tower (pid {holder.pid}) already serves {directory}.",
        hint="`afx tower status` shows it; `afx tower stop` ends it.",
        code="already-running",
    )


def _holder(descriptor: int) -> ProcessIdentity | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=ProcessIdentity)
    except msgspec.DecodeError:
        return None
