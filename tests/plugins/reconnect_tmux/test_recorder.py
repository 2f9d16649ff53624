"""The recorder without tmux: what comes on its pipe, where that ends, and where another one is laid."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from afx_holding import frames
from afx_reconnect_tmux.launching import PYTHON

PATIENCE = 10.0


class Stage:
    """A directory for the socket of terminal ``t``, and all processes and sockets that are to be ended."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []
        self.sockets: list[socket.socket] = []

    def record(self, seed: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Start one as tmux does, and return tmux's end of its pipe."""
        ours, theirs = socket.socketpair()
        argv = [*PYTHON, "record", str(self.directory), "t", "65536", "/dev/null", seed]
        process = subprocess.Popen(argv, stdin=theirs.fileno(), cwd="/")
        theirs.close()
        self.processes.append(process)
        self.sockets.append(ours)
        return ours, process

    def connect(self, client: str) -> Listener:
        """Say HELLO to the recorder, which may be about to start."""
        deadline = time.monotonic() + PATIENCE
        while True:
            connection = socket.socket(socket.AF_UNIX)
            self.sockets.append(connection)
            try:
                connection.connect(str(self.directory / "t.sock"))
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            else:
                connection.settimeout(PATIENCE)
                connection.sendall(frames.control(frames.HELLO, version=frames.VERSION, client=client))
                return Listener(connection)


class Listener:
    """Reads what the recorder says."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = frames.Decoder()
        self.frames: list[tuple[int, bytes]] = []

    def next(self, wanted: int) -> dict[str, Any]:
        """Return the fields of the next frame of this kind."""
        while True:
            while self.frames:
                kind, payload = self.frames.pop(0)
                if kind == wanted:
                    return frames.fields_of(payload)
            self.frames.extend(self.decoder.feed(self._receive()))

    def output(self, length: int) -> bytes:
        """Return the next so many bytes of output."""
        found = b""
        while len(found) < length:
            while self.frames:
                kind, payload = self.frames.pop(0)
                found += payload if kind == frames.DATA else b""
            if len(found) < length:
                self.frames.extend(self.decoder.feed(self._receive()))
        return found

    def _receive(self) -> bytes:
        data = self.connection.recv(65536)
        assert data, "the recorder hung up"
        return data


@pytest.fixture
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="afx", dir="/tmp") as directory:
        stage = Stage(Path(directory))
        yield stage
        for process in stage.processes:
            process.kill()
            process.wait()
        for one in stage.sockets:
            one.close()


def test_another_pipe_is_handed_to_the_recorder_that_lacks_one(stage: Stage) -> None:
    """As with tmux 3.8, which closes a pane's pipe when its program ends."""
    pipe, recorder = stage.record("fresh")
    tower, onlooker = stage.connect("tower"), stage.connect("terminal")
    assert tower.next(frames.WELCOME)["piped"]
    epoch = onlooker.next(frames.WELCOME)["epoch"]
    pipe.sendall(b"one ")
    pipe.close()
    assert tower.next(frames.PIPE) == {"laid": False}
    assert onlooker.output(4) == b"one ", "what was written before the end is there"
    late = stage.connect("tower")
    assert not late.next(frames.WELCOME)["piped"]
    again, messenger = stage.record("again")
    assert late.next(frames.PIPE) == {"laid": True}
    assert messenger.wait(PATIENCE) == 0
    again.sendall(b"two")
    assert onlooker.output(3) == b"two"
    welcome = stage.connect("terminal").next(frames.WELCOME)
    assert (welcome["epoch"], welcome["offset"], welcome["piped"]) == (epoch, 7, True)
    assert recorder.poll() is None


def test_a_pipe_is_not_taken_from_a_stranger_while_one_is_laid(stage: Stage) -> None:
    pipe, _ = stage.record("fresh")
    onlooker = stage.connect("terminal")
    onlooker.next(frames.WELCOME)
    other, messenger = stage.record("again")
    assert messenger.wait(PATIENCE) == 1, "it is refused, and the place is taken"
    with suppress(OSError):
        other.sendall(b"never")
    pipe.sendall(b"ours")
    assert onlooker.output(4) == b"ours"


def test_whom_nobody_takes_the_pipe_from_records_it(stage: Stage) -> None:
    """The recorder before was killed; its socket is still there."""
    _, killed = stage.record("fresh")
    stage.connect("tower").next(frames.WELCOME)
    killed.kill()
    killed.wait()
    pipe, _ = stage.record("again")
    onlooker = stage.connect("terminal")
    onlooker.next(frames.WELCOME)
    pipe.sendall(b"still")
    assert onlooker.output(5) == b"still"


def test_a_recorder_without_a_pipe_goes_when_it_is_told_to(stage: Stage) -> None:
    pipe, recorder = stage.record("fresh")
    tower = stage.connect("tower")
    tower.next(frames.WELCOME)
    pipe.close()
    tower.next(frames.PIPE)
    assert recorder.poll() is None
    tower.connection.sendall(frames.control(frames.TERMINATE))
    tower.next(frames.GONE)
    assert recorder.wait(PATIENCE) == 0
    assert list(stage.directory.iterdir()) == []
