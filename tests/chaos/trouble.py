"""Means of disaster: what tests do to a disk, a database, a clock and a process's descriptors.

Each is bounded: it is over when its block ends, whatever happened in it.
"""

from __future__ import annotations

import mmap
import os
import random
import resource
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from afx_storage_sqlite.schema import APPLICATION_ID, MIGRATIONS
from e2e.rows import rows

_CLOCK = """\
import mmap, struct, time
with open({path!r}, "rb") as file:
    _jump = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
_real = time.time
time.time = lambda: _real() + struct.unpack("d", _jump[:8])[0]
"""


class Disk:
    """A small disk of its own, mounted at a directory that exists; only root can have one.

    Raises:
        OSError: It cannot be mounted here.
    """

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(path))

    def fill(self) -> Path:
        """Fill it to the last byte, and return the file that does."""
        path = self.path / "filler"
        with path.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return path

    @contextmanager
    def full(self) -> Iterator[None]:
        """Have not a byte left on it."""
        filler = self.fill()
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be made or opened for writing under its path; what is open stays so."""
        _mount("--bind", str(self.path), str(self.path))
        try:
            _mount("-o", "remount,bind,ro", str(self.path))
            yield
        finally:
            self.unmount()

    def unmount(self) -> None:
        """Take away what was mounted last, from under whoever uses it."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)


class Clock:
    """The wall clock of Python processes that are started with its environment; monotonic time goes on.

    Attributes:
        env: What has to be in their environment.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        path = directory / "jump"
        path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._jump = mmap.mmap(file.fileno(), 8)
        (directory / "sitecustomize.py").write_text(_CLOCK.format(path=str(path)))
        self.env = {"PYTHONPATH": str(directory)}

    def jump(self, seconds: float) -> None:
        """Be so many seconds ahead of the real time from now on."""
        self._jump[:8] = struct.pack("d", seconds)


@contextmanager
def few_descriptors(pid: int, spare: int) -> Iterator[None]:
    """Let a process open only `spare` more files than it has open now."""
    if sys.platform != "linux":
        raise NotImplementedError("Only on Linux one process limits another.")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + spare, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let nobody else write to a database."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


def damage(path: Path, dice: random.Random) -> str:
    """Damage a database that nobody has open, or what lies beside it; say how."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size and dice.random() < 0.5:
        path = log
    size = path.stat().st_size
    kind = dice.choice(["cut", "emptied", "garbled"])
    with path.open("r+b") as file:
        if kind == "garbled":
            file.seek(dice.randrange(0, max(1, size // 4096)) * 4096)
            file.write(dice.randbytes(4096))
        else:
            file.truncate(0 if kind == "emptied" else dice.randrange(max(1, size)))
    return f"{path.name} {kind}"


def make_old(path: Path, number: int) -> None:
    """Bring a database that nobody has open back to an older format, with all of its rows that fit there."""
    old = path.with_name("old.db")
    old.unlink(missing_ok=True)
    with rows(old) as database:
        for migration in MIGRATIONS[:number]:
            database.executescript(migration.sql)
        database.execute("ATTACH ? AS present", [str(path)])
        for (table,) in database.execute(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table'"
        ).fetchall():
            columns = [row[1] for row in database.execute(f"PRAGMA main.table_info({table})")]
            names = ", ".join(columns)
            database.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM present.{table}")  # noqa: S608
        database.commit()
        database.execute("DETACH present")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {number}")
    database.close()
    old.chmod(0o600)
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
    old.replace(path)


def can_mount() -> bool:
    """Tell whether this user may mount at all."""
    return os.geteuid() == 0


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"mount {' '.join(arguments)}: {done.stderr.decode().strip()}")
