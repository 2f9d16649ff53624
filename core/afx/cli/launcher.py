"""Starting and stopping the Tower of a state directory.

It is stopped through its identity alone: whoever else listens on its port, or has got its pid, is left in
peace. How its process is run is in `process`.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from afx.api.errors import AfxError, ConflictError, UnreachableError
from afx.client.http import TowerClient, TowerDownError
from afx.client.presence import absence, lock_holder
from afx.settings import SETTINGS, Settings

from . import process
from .repository import workspace_here_or_none

JOIN_DEADLINE = 10.0
STOP_DEADLINE = 15.0
_OF_THE_TOWER = ("tower.", "plugins.", "storage.", "recover.")


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
        AfxError: It would not start again and was left running, did not end, or did not start again; which
            of these is said.
    """
    runs = lock_holder(home) is not None
    present = _port(home) if runs else None
    env = environment(home, present if port is None else port)
    # Where the present port is not known, the wanted one may be the Tower's own.
    if port and present is not None and port != present:
        from afx.server.port import bind

        bind(port).close()
    make_home(home)
    if runs:
        _rehearse(home, env)
    stop(home)
    try:
        return _launch(home, env)
    except AfxError as error:
        if error.code == "already-running":
            return start(home, port)
        said = f"The Tower is stopped, and could not be started again. {error.message}"
        raise type(error)(said, hint=error.hint, code=error.code) from None


def _rehearse(home: Path, env: Mapping[str, str]) -> None:
    try:
        process.rehearse(home, env)
    except AfxError as error:
        said = f"The Tower is left running, since it could not be started again. {error.message}"
        raise type(error)(said, hint=error.hint, code=error.code) from None


def _launch(home: Path, env: Mapping[str, str]) -> Started:
    make_home(home)
    serving = process.run(home, env)
    return Started(serving.url, serving.pid, already=False)


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
