"""A Tower to be killed: on a temporary state directory, with settings of its own, beside the real one."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeAlias, TypeVar

from afx.api.errors import AfxError, NotFoundError
from afx.api.process import ProcessIdentity, identify, is_alive, send_signal
from afx.client.http import TowerClient

HARNESS = "stand-in"
"""The harness of an agent program that keeps conversations and asks no model."""

_PATIENCE = 20.0
_BREAKING_OFF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Each launch is a turn of the conversation, whose file has a line for each. It needs nothing but a shell.
_PROGRAM = """\
#!/bin/sh
talk={talks}/$2.txt
echo turn >>"$talk"
turns=0
while read -r line; do turns=$((turns + 1)); done <"$talk"
echo "conversation $2, turn $turns"
while read -r line; do :; done
"""
_CONFIG = """\
[harness.{name}]
command = "{name}"
new = ["--session-id", "{{session_id}}"]
resume = ["--resume", "{{session_id}}"]

[harness.{name}.transcripts]
files = "{talks}/*.txt"
"""
_Found = TypeVar("_Found")
_Handler: TypeAlias = Callable[[int, FrameType | None], object] | signal.Handlers


class ThrowawayTower:
    """A Tower that may be killed and started again.

    Attributes:
        home: Its state directory.
        workspace: A git repository that it knows once it was started.
    """

    def __init__(self, directory: Path) -> None:
        self.home = directory / "s"
        self.workspace = directory / "w"
        self._env = _environment(directory, self.home)
        _make_stand_in(directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[ProcessIdentity] = set()

    def start(self) -> float:
        """Start the Tower and return how many seconds it took to serve everything.

        Raises:
            AfxError: It does not start.
        """
        began = time.monotonic()
        reading, writing = os.pipe()
        with (self.home.parent / "out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "afx.server"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={**self._env, "AFX_READY_FD": str(writing)},
                pass_fds=[writing],
                start_new_session=True,
            )
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            line = pipe.readline() if select.select([pipe], [], [], _PATIENCE)[0] else b""
        if not line.startswith(b'{"ready": true'):
            said = json.loads(line)["message"] if line.startswith(b"{") else "It said nothing."
            raise AfxError(f"The throwaway Tower does not start: {said}")
        self.agents()
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill the Tower with SIGKILL and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE)
            self._process = None

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask the Tower. Raises as `TowerClient.get`."""
        client = TowerClient.connect(self.home, timeout=_PATIENCE)
        match method:
            case "GET":
                return client.get(path)
            case "DELETE":
                return client.delete(path)
            case _:
                return client.post(path, body)

    def make_workspace(self) -> None:
        """Make the repository, and make it known.

        Raises:
            AfxError: Git fails.
        """
        git = ["git", "-c", "user.name=afx", "-c", "user.email=afx@localhost", "-C", str(self.workspace)]
        self.workspace.mkdir()
        for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Begin"]):
            try:
                done = subprocess.run([*git, *arguments], capture_output=True, check=False, env=self._env)
            except OSError as error:
                raise AfxError(f"git cannot be run: {error.strerror}.", hint="Install git.") from error
            if done.returncode:
                said = done.stderr.decode("utf-8", "replace").strip()
                raise AfxError(f"git {arguments[0]} failed: {said}")
        self.ask("POST", "/api/workspaces", {"path": str(self.workspace.resolve())})

    def shell(self, name: str, strategy: str, script: str) -> None:
        """Start a shell with a script on a reconnect strategy. Raises as `ask`."""
        self._spawn(kind="shell", name=name, strategy=strategy, args=["-c", script])

    def builder(self, name: str, strategy: str) -> None:
        """Start a builder whose program keeps a conversation. Raises as `ask`."""
        self._spawn(kind="builder", name=name, strategy=strategy, harness=HARNESS)

    def _spawn(self, **wanted: object) -> None:
        self.ask("POST", "/api/agents", {"workspace": str(self.workspace.resolve()), **wanted})
        self.agents()

    def agents(self) -> dict[str, dict[str, Any]]:
        """Return every agent by name, and remember its processes to end them at the end."""
        state = self.ask("GET", "/api/state")
        found = {agent["name"]: agent for workspace in state["workspaces"] for agent in workspace["agents"]}
        for agent in found.values():
            pid = None if agent["terminal"] is None else agent["terminal"]["pid"]
            for one in (pid, parent_of(pid)):
                identity = None if one is None else identify(one)
                if identity is not None and identity.pid not in {1, os.getpid()}:
                    self._seen.add(identity)
        return found

    def holder(self, name: str) -> ProcessIdentity | None:
        """Return the process that holds an agent's terminal: the parent of its program."""
        agent = self.agents()[name]
        pid = None if agent["terminal"] is None else parent_of(agent["terminal"]["pid"])
        if pid is None or pid in {1, None if self._process is None else self._process.pid}:
            return None
        return identify(pid)

    def output(self, terminal_id: str) -> bytes:
        """Return all output of a terminal that is kept. Raises as `ask`."""
        return TowerClient.connect(self.home, timeout=_PATIENCE).output(terminal_id).data

    def end_everything(self) -> None:
        """End the Tower and whatever it has started."""
        with suppress(AfxError):
            for agent in self.agents().values():
                with suppress(NotFoundError):
                    self.ask("DELETE", f"/api/agents/{agent['id']}?force=1")
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
        for one in self._seen:
            with suppress(PermissionError):
                send_signal(one, signal.SIGKILL)
        # What the Tower was just starting when everything was broken off.
        deadline = time.monotonic() + _PATIENCE
        while (left := _marked(self.home)) and time.monotonic() < deadline:
            for one in left:
                send_signal(one, signal.SIGKILL)
            time.sleep(0.01)


@contextmanager
def throwaway_tower() -> Iterator[ThrowawayTower]:
    """Make a place for a throwaway Tower; remove it, and everything that was started there, at the end.

    So it is where the person or the system breaks it off, too; the end itself is not to be broken off.
    """
    with _handled(_break_off):
        directory = Path(tempfile.mkdtemp(prefix="afx-"))
        try:
            tower = ThrowawayTower(directory)
            try:
                yield tower
            finally:
                with _handled(signal.SIG_IGN):
                    tower.end_everything()
        finally:
            with _handled(signal.SIG_IGN):
                shutil.rmtree(directory, ignore_errors=True)


def _break_off(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    # Once is enough. Another would break off the end of it all.
    for one in _BREAKING_OFF:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _handled(handler: _Handler) -> Iterator[None]:
    """Handle what breaks a command off in this way, in the one thread that may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _BREAKING_OFF}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _marked(home: Path) -> list[ProcessIdentity]:
    """Return the live processes whose environment names a state directory, where the system tells (Linux)."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"AFX_HOME={home}".encode() in (directory / "environ").read_bytes().split(b"\0"):
                identity = identify(int(directory.name))
                found += [] if identity is None or identity.pid == os.getpid() else [identity]
    return found


def eventually(look: Callable[[], _Found | None], patience: float = _PATIENCE) -> _Found | None:
    """Look again and again until something is seen, and return it; None where nothing is in time."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    return found


def wait_for_death(process: ProcessIdentity) -> None:
    """Return once a process that was killed is gone."""
    eventually(lambda: not is_alive(process))


def parent_of(pid: int | None) -> int | None:
    """Return the parent of a process; None where it is gone."""
    if pid is None:
        return None
    if Path("/proc/self/stat").exists():
        # Not by `ps`, which small containers have not got.
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        return int(stat.rpartition(")")[2].split()[1])
    done = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=False)
    text = done.stdout.strip()
    return int(text) if text.isdigit() else None


def _environment(directory: Path, home: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AFX_", "GIT_"))}
    config = str(directory / "config.toml")
    path = f"{directory / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    # AFX_THROWAWAY tells strategies that holders will be killed here, so that none of them is shared.
    own = {"AFX_HOME": str(home), "AFX_PORT": "0", "AFX_CONFIG": config, "AFX_THROWAWAY": "1"}
    return {**env, **own, "PATH": path, "SHELL": "/bin/sh"}


def _make_stand_in(directory: Path) -> None:
    """Make the agent program, and the settings that declare its harness."""
    talks, program = directory / "talks", directory / "bin" / HARNESS
    talks.mkdir()
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(talks=talks), encoding="utf-8")
    program.chmod(0o700)
    (directory / "config.toml").write_text(_CONFIG.format(name=HARNESS, talks=talks), encoding="utf-8")
