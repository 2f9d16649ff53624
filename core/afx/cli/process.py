"""Runs the Tower's process, detached: it says through a pipe whether it serves."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from afx.api.errors import AfxError, BadInputError, ConflictError, PluginError, UnreachableError

# -P: what lies in the current directory must not stand in for a module of ours.
COMMAND = (sys.executable, "-P", "-m", "afx.server")
START_DEADLINE = 60.0
_MOST_LOG = 1024 * 1024
_BY_CODE = {
    "already-running": ConflictError,
    **{kind.code: kind for kind in (BadInputError, ConflictError, PluginError)},
}


class Serving(NamedTuple):
    """A Tower that was run and serves: where, and its process."""

    url: str
    pid: int


def run(home: Path, env: Mapping[str, str]) -> Serving:
    """Run a Tower in a state directory that is there, and return when it serves.

    Raises:
        BadInputError: A setting cannot be used.
        ConflictError: One runs there already, or the port is taken.
        PluginError: The storage that the settings name cannot be had.
        UnreachableError: It has not said in time whether it serves.
        AfxError: It could not start.
    """
    child, news = _hear(COMMAND, home, env)
    # It lives on without us; this only keeps Python from warning about that.
    child.returncode = 0
    return Serving(news["url"], news["pid"])


def rehearse(home: Path, env: Mapping[str, str]) -> None:
    """Find out whether a Tower could start in a state directory, while one may run there.

    Raises:
        AfxError: It could not, and why.
    """
    child, _ = _hear((*COMMAND, "--rehearse"), home, env)
    child.wait()


def _hear(
    command: Sequence[str], home: Path, env: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Mapping[str, Any]]:
    """Start a process, and return it with what it announces once it is ready."""
    log = home / "tower-start.log"
    with _open_log(log) as output:
        begin = os.fstat(output.fileno()).st_size
        child, pipe = _spawn(command, env, output)
    line = _read_line(pipe, START_DEADLINE)
    if line is None:
        raise UnreachableError(
            f"The Tower (pid {child.pid}) has not said within {START_DEADLINE:.0f} s that it serves.",
            hint="It may still come: see `afx tower status` and `afx tower log`.",
        )
    try:
        news = json.loads(line)
    except ValueError:
        child.wait()
        raise _silent_death(log, begin) from None
    if not news.get("ready"):
        child.wait()
        code = news.get("code")
        kind = _BY_CODE.get(code, AfxError)
        raise kind(news.get("message", "The Tower could not start."), hint=news.get("hint", ""), code=code)
    return child, news


def _open_log(path: Path) -> BinaryIO:
    """Open what the process writes to before it has a log of its own; it does not grow for ever."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise AfxError(
            f"{path} cannot be written: {error.strerror}.", hint="`afx doctor` looks at the state directory."
        ) from None
    output = os.fdopen(descriptor, "wb")
    if os.fstat(descriptor).st_size > _MOST_LOG:
        output.truncate(0)
    return output


def _spawn(
    command: Sequence[str], env: Mapping[str, str], output: BinaryIO
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process; return it, and the end of the pipe on which it says whether it serves."""
    ours, theirs = os.pipe()
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**env, "AFX_READY_FD": str(theirs)},
            pass_fds=(theirs,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(ours)
        raise AfxError(
            f"{sys.executable} cannot be run: {error.strerror}.",
            hint="Where Python or afx has moved, install afx again.",
        ) from None
    finally:
        os.close(theirs)
    return child, ours


def _read_line(descriptor: int, patience: float) -> bytes | None:
    """Read to the end of a line or of the pipe; None where neither comes in time."""
    deadline = time.monotonic() + patience
    read = b""
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        while b"\n" not in read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            piece = pipe.read(4096)
            if not piece:
                break
            read += piece
    return read


def _silent_death(log: Path, begin: int) -> AfxError:
    said = log.read_bytes()[begin:].decode("utf-8", "replace").strip().splitlines()
    last = " ".join(said[-1].split()) if said else "it said nothing"
    return AfxError(f"The Tower ended before it served: {last}", hint=f"{log} has the whole story.")
