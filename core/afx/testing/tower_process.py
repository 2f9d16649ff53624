"""A real Tower in a process of its own, on a state directory of its own, for tests and benchmarks.

It is started, stopped and killed as a person's would be, and asked through its own door. Whatever it left
running is found by the state directory in its environment and ended at the end.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from afx.api.process import ProcessIdentity, identify, is_alive, send_signal

Found = TypeVar("Found")
Answer: TypeAlias = Any
"""What the Tower answered: JSON of a shape that the test knows, or bytes."""


class TowerFailedError(Exception):
    """The Tower did not start; the text is what it said."""


class RequestFailedError(Exception):
    """The Tower refused a request.

    Attributes:
        status: The HTTP status.
        error: The ``error`` object of the answer.
    """

    def __init__(self, status: int, error: dict[str, str]) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error


class TowerProcess:
    """One Tower on one state directory; it may be started again and again.

    Args:
        home: The state directory. Its path should be short, since sockets lie in it.
        env: Environment on top of this process's own.
    """

    def __init__(self, home: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.env = {**os.environ, "AFX_PORT": "0", **(env or {}), "AFX_HOME": str(home)}
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.port = 0

    @property
    def key(self) -> str:
        """The Tower's secret."""
        return (self.home / "key").read_text(encoding="ascii")

    def launch(self) -> int:
        """Start the process and return the end of the pipe on which it will announce itself."""
        reading, writing = os.pipe()
        with open(self.home.with_suffix(".out"), "ab") as output:  # noqa: PTH123
            self.process = subprocess.Popen(
                [sys.executable, "-m", "afx.server"],
                env={**self.env, "AFX_READY_FD": str(writing)},
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        os.close(writing)
        return reading

    def start(self) -> None:
        """Start the Tower and return once it serves.

        Raises:
            TowerFailedError: It said why it does not, or ended without a word.
        """
        self.await_ready(self.launch())

    def await_ready(self, reading: int) -> None:
        """Read the announcement of a Tower that was launched."""
        with os.fdopen(reading, encoding="utf-8") as pipe:
            line = pipe.readline()
        if self.process is not None and not line.startswith('{"ready": true'):
            self.process.wait(10)
        if not line:
            raise TowerFailedError(self.home.with_suffix(".out").read_text(encoding="utf-8")[-4000:])
        said = json.loads(line)
        if not said["ready"]:
            raise TowerFailedError(said["message"])
        self.url = said["url"]
        self.port = int(self.url.rpartition(":")[2])

    def stop(self, timeout: float = 15) -> None:
        """Stop the Tower politely and wait until it is gone."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout)

    def kill(self) -> None:
        """Kill the Tower with SIGKILL and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def request(self, method: str, path: str, body: object = None, *, timeout: float = 30) -> Answer:
        """Ask the Tower and return its answer: parsed JSON, or bytes.

        Raises:
            RequestFailedError: It answered with an error.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = {"Authorization": f"Bearer {self.key}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        answer: Answer = json.loads(data) if is_json else data
        if response.status >= 400:
            raise RequestFailedError(response.status, answer["error"])
        return answer

    def state(self) -> Answer:
        """Return ``/api/state``."""
        return self.request("GET", "/api/state")

    def agents(self) -> dict[str, Any]:
        """Return every agent by ``kind/name``."""
        return {
            f"{agent['kind']}/{agent['name']}": agent
            for workspace in self.state()["workspaces"]
            for agent in workspace["agents"]
        }

    def shell(self, workspace: str, script: str, name: str | None = None) -> Answer:
        """Start a shell agent that runs a script of /bin/sh, and return the agent."""
        body = {"workspace": workspace, "kind": "shell", "name": name, "args": ["-c", script]}
        return self.request("POST", "/api/agents", body)["agent"]

    def websocket_url(self, terminal_id: str, **query: object) -> str:
        """Return the URL of a terminal's WebSocket."""
        text = urlencode({name: value for name, value in query.items() if value is not None})
        return f"ws://127.0.0.1:{self.port}/ws/terminal/{terminal_id}" + (f"?{text}" if text else "")

    def connections(self) -> int:
        """Return how many sockets the Tower's process has open (Linux only)."""
        if self.process is None:
            return 0
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return sum(str(link.readlink()).startswith("socket:") for link in links)

    def eventually(self, look: Callable[[], Found], timeout: float = 10) -> Found:
        """Look again and again until something true is seen, and return it.

        Raises:
            AssertionError: Nothing was seen in time.
        """
        deadline = time.monotonic() + timeout
        while not (found := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"Not seen within {timeout} s; the state is {self.state()}")
            time.sleep(0.02)
        return found

    def end_everything(self) -> list[str]:
        """End the Tower and every process that has its state directory in its environment.

        Returns:
            The command lines of what was still running beside the Tower.
        """
        self.kill()
        left: list[str] = []
        deadline = time.monotonic() + 10
        while found := processes_of(self.home):
            for one in found:
                left.append(_command_line(one.pid))
                send_signal(one, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise AssertionError(f"These do not end: {found}")
            while any(is_alive(one) for one in found) and time.monotonic() < deadline:
                time.sleep(0.01)
        return left


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "(gone)"


def processes_of(home: Path) -> list[ProcessIdentity]:
    """Return every live process that belongs to this state directory (Linux only).

    That is one whose environment names the directory, or that listens on a socket that lies in it.
    """
    wanted = f"AFX_HOME={home}".encode()
    listening = _listening_inodes({path.name for path in home.glob("*/*.sock")})
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = wanted in (process / "environ").read_bytes().split(b"\0")
            mine = mine or any(str(link.readlink()) in listening for link in (process / "fd").iterdir())
        except OSError:
            continue
        pid = int(process.name)
        identity = identify(pid) if mine and pid != os.getpid() else None
        if identity is not None:
            found.append(identity)
    return found


def _listening_inodes(names: set[str]) -> set[str]:
    """Return the ends of ``/proc/PID/fd`` links of listening sockets with one of these file names."""
    found = set()
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[5] == "01" and Path(fields[7]).name in names:
            found.add(f"socket:[{fields[6]}]")
    return found
