"""Starting and stopping the Tower's process.

The Tower is started detached and says through a pipe whether it serves. It is stopped through its identity
alone: whoever else listens on its port, or has got its pid, is left in peace.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from afx.api.errors import AfxError, ConflictError, UnreachableError
from afx.client.http import TowerClient, TowerDownError
from afx.client.presence import absence, lock_holder
from afx.settings import SETTINGS, Settings

from .repository import workspace_here_or_none

# -P: what lies in the current directory must not stand in for a module of ours.
COMMAND = (sys.executable, "-P", "-m", "afx.server")
START_DEADLINE = 60.0
JOIN_DEADLINE = 10.0
STOP_DEADLINE = 15.0
_OF_THE_TOWER = ("tower.", "plugins.", "storage.", "recover.")
_MOST_LOG = 1024 * 1024
_BY_CODE = {"already-running": ConflictError, "conflict": ConflictError}


class Started(NamedTuple):
    """A Tower that serves.

    Attributes:
        url: Where.
        pid: Its process.
        already: Whether it did before.
    """

    url: str
    pid: int
    already: bool


def environment(home: Path, port: int | None) -> dict[str, str]:
    """Return the environment for the Tower of a state directory.

    What the options and the ``afx.toml`` around the current directory say about the Tower goes with it, since
    it cannot read them itself.

    Raises:
        BadInputError: A setting cannot be used.
    """
    settings = Settings.load(workspace_here_or_none())
    env = {**os.environ, "AFX_HOME": str(home)}
    for name in SETTINGS:
        if name.startswith(_OF_THE_TOWER) and settings.origin(name) == "afx.toml":
            value = settings[name]
            env[SETTINGS[name].env] = ",".join(value) if isinstance(value, list) else str(value)
    if port is not None:
        env[SETTINGS["tower.port"].env] = str(port)
    return env


def start(home: Path, port: int | None = None) -> Started:
    """Start the Tower of a state directory, unless it runs; return when it serves.

    Where somebody else starts it at the same time, theirs is waited for.

    Args:
        home: The state directory, which is made where it is missing.
        port: The port to listen on; None for that of the settings.

    Raises:
        ConflictError: It runs already, on another port than `port`.
        AfxError: It could not start.
    """
    if (running := _running(home, port)) is not None:
        return running
    env = environment(home, port)
    deadline = time.monotonic() + JOIN_DEADLINE
    while (running := _join(home, port, deadline)) is None:
        try:
            return _launch(home, env)
        except ConflictError as error:
            if error.code != "already-running" or time.monotonic() > deadline:
                raise
    return running


def restart(home: Path, port: int | None = None) -> Started:
    """Stop the Tower of a state directory and start it again, on the same port unless told otherwise.

    Whatever can be known to be in the way of the start is found out before anything is stopped.

    Args:
        home: The state directory.
        port: The port to listen on; None for the one it listens on, else that of the settings.

    Raises:
        BadInputError: A setting cannot be used. The Tower was left running.
        ConflictError: The port is taken by somebody else. The Tower was left running.
        AfxError: It did not end, or did not start again, which is said.
    """
    runs = lock_holder(home) is not None
    present = _port(home) if runs else None
    env = environment(home, present if port is None else port)
    # Where the present port is not known, the wanted one may be the Tower's own.
    if port and present is not None and port != present:
        from afx.server.port import bind

        bind(port).close()
    make_home(home)
    stop(home)
    try:
        return _launch(home, env)
    except AfxError as error:
        if error.code == "already-running":
            return start(home, port)
        said = f"The Tower is stopped, and could not be started again. {error.message}"
        raise type(error)(said, hint=error.hint, code=error.code) from None


def _launch(home: Path, env: Mapping[str, str]) -> Started:
    make_home(home)
    log = home / "tower-start.log"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(log, flags, 0o600)
    except OSError as error:
        raise AfxError(
            f"{log} cannot be written: {error.strerror}.", hint="`afx doctor` looks at the state directory."
        ) from None
    with os.fdopen(descriptor, "wb") as output:
        if os.fstat(descriptor).st_size > _MOST_LOG:
            output.truncate(0)
        begin = os.fstat(descriptor).st_size
        ours, theirs = os.pipe()
        try:
            child = subprocess.Popen(
                COMMAND,
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
            raise AfxError(f"{sys.executable} cannot be run: {error.strerror}.") from None
        finally:
            os.close(theirs)
    line = _read_line(ours, START_DEADLINE)
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
    # It lives on without us; this only keeps Python from warning about that.
    child.returncode = 0
    return Started(news["url"], news["pid"], already=False)


def stop(home: Path) -> int | None:
    """Stop the Tower of a state directory and return when it is gone; return its pid, None where none ran.

    Raises:
        UnreachableError: It has not ended in time. Nothing more was done to it.
    """
    from afx.api.process import is_alive, send_signal

    holder = lock_holder(home)
    if holder is None or not send_signal(holder, signal.SIGTERM):
        return None
    deadline = time.monotonic() + STOP_DEADLINE
    while is_alive(holder) or not _is_free(home / "tower.lock"):
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"The Tower (pid {holder.pid}) has not ended within {STOP_DEADLINE:.0f} s.",
                hint=f"`afx tower log` may say what it waits for. `kill -KILL {holder.pid}` ends it all the "
                "same; terminals live on.",
            )
        time.sleep(0.02)
    return holder.pid


def make_home(home: Path) -> None:
    """Make the state directory, for nobody else to read.

    Raises:
        AfxError: It cannot be made.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise AfxError(
            f"The state directory {home} cannot be made: {error.strerror}.",
            hint="Set AFX_HOME to a directory that you may write.",
        ) from None


def _running(home: Path, port: int | None) -> Started | None:
    try:
        tower: Mapping[str, Any] = TowerClient.connect(home).state()["tower"]
    except TowerDownError:
        return None
    url = str(tower["url"])
    if port and urlsplit(url).port != port:
        raise ConflictError(
            f"The Tower runs already, at {url}.", hint=f"`afx tower restart --port {port}` moves it."
        )
    return Started(url, int(tower["pid"]), already=True)


def _join(home: Path, port: int | None, deadline: float) -> Started | None:
    """Wait for a Tower that somebody else has started; None where none holds the state directory.

    Raises:
        TowerDownError: It does not serve in time, or never can.
    """
    while lock_holder(home) is not None:
        if (running := _running(home, port)) is not None:
            return running
        if time.monotonic() > deadline or not (home / "key").exists():
            raise absence(home)
        time.sleep(0.05)
    # A Tower that has the lock but has not yet written its name there is seen by the next attempt.
    return None


def _port(home: Path) -> int | None:
    """Return the port that ``tower.json`` names."""
    try:
        return int(json.loads((home / "tower.json").read_bytes())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_free(lock: Path) -> bool:
    """Tell whether nobody holds the lock, such as a child that inherited it."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


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
