"""`afx attach` as a process, at a real terminal and with a real Tower."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from afx.cli import launcher
from afx.client.presence import lock_holder
from afx.client.screen import LEAVE
from cli.conftest import Afx

ATTACH = (sys.executable, "-m", "afx.cli", "attach")


@pytest.fixture
def shell(afx: Afx, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Tower with an agent shell/one, whose program is /bin/sh; the value is the state directory."""
    home = Path(tempfile.mkdtemp(prefix="afx", dir="/tmp"))
    for name, value in (("AFX_HOME", str(home)), ("AFX_PORT", "0"), ("SHELL", "/bin/sh"), ("PS1", "$ ")):
        monkeypatch.setenv(name, value)
    assert repository.is_dir()
    try:
        assert afx("tower", "start").status == 0
        assert afx("shell", "one").status == 0
        yield home
        assert afx("tower", "start").status == 0
        assert afx("down", "--agents").status == 0
    finally:
        launcher.stop(home)
        rmtree(home)


class Seat:
    """A person at a terminal, before which `afx attach` runs."""

    def __init__(self, ours: int, theirs: int, process: subprocess.Popen[bytes]) -> None:
        self.ours = ours
        self.theirs = theirs
        self.process = process
        self.seen = b""

    def type(self, text: bytes) -> None:
        os.write(self.ours, text)

    def read(self, patience: float) -> bool:
        if not select.select([self.ours], [], [], patience)[0]:
            return False
        self.seen += os.read(self.ours, 65536)
        return True

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + 15
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self.read(0.1)

    def status(self) -> int:
        """Wait for the end, reading what comes, as a terminal does."""
        deadline = time.monotonic() + 15
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.returncode


@contextmanager
def seat(*arguments: str) -> Iterator[Seat]:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (33, 77))

    def sit_down() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*ATTACH, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=sit_down,  # noqa: PLW1509 - a controlling terminal cannot be had otherwise
    )
    try:
        yield Seat(ours, theirs, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.usefixtures("shell")
def test_a_person_attaches_types_resizes_and_leaves() -> None:
    with seat("one") as person:
        before = termios.tcgetattr(person.theirs)
        person.type(b"stty size; echo $((40+2))\r")
        person.until(b"33 77")
        person.until(b"42")
        termios.tcsetwinsize(person.theirs, (20, 60))
        os.kill(person.process.pid, signal.SIGWINCH)
        deadline = time.monotonic() + 10
        while b"20 60" not in person.seen:
            assert time.monotonic() < deadline
            person.type(b"stty size\r")
            person.read(0.2)
        person.type(b"\x1c\x1c")
        assert person.status() == 0
        assert LEAVE in person.seen
        assert person.seen.endswith(b"[detached from shell/one]\r\n")
        assert termios.tcgetattr(person.theirs) == before


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(number: signal.Signals) -> None:
    with seat("one") as person:
        before = termios.tcgetattr(person.theirs)
        person.type(b"echo $((40+2))\r")
        person.until(b"42")
        os.kill(person.process.pid, number)
        assert person.status() == 128 + number
        assert LEAVE in person.seen
        assert b"Traceback" not in person.seen
        assert termios.tcgetattr(person.theirs) == before


def test_every_line_once_while_the_tower_is_killed_and_started_again(afx: Afx, shell: Path) -> None:
    count = "while [ $i -lt 3000 ]; do i=$((i+1)); echo n$i; [ $((i%100)) = 0 ] && sleep 0.05; done"
    script = f"i=0; {count}; exit 5\n"
    with subprocess.Popen(
        [*ATTACH, "one"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(script.encode())
        process.stdin.close()
        seen = b""
        for mark in (b"\nn300\r", b"\nn1200\r", b"\nn2000\r"):
            while mark not in seen:
                seen += os.read(process.stdout.fileno(), 65536)
            if mark == b"\nn1200\r":
                assert afx("tower", "restart").status == 0
            else:
                holder = lock_holder(shell)
                assert holder is not None
                os.kill(holder.pid, signal.SIGKILL)
                assert afx("tower", "start").status == 0
        seen += process.stdout.read()
        said = process.stderr.read()
        process.wait(10)
    lines = [line for line in seen.decode().replace("\r", "").split("\n") if line[:1] == "n"]
    assert lines == [f"n{number}" for number in range(1, 3001)]
    assert said == b"[shell/one exited with code 5]\n"
    assert process.returncode == 0


def test_an_agent_that_is_stopped_meanwhile_is_said(afx: Afx, shell: Path) -> None:
    assert shell.is_dir()
    with seat("one") as person:
        person.type(b"echo $((40+2))\r")
        person.until(b"42")
        assert afx("stop", "one").status == 0
        person.status()
        assert b"shell/one" in person.seen.rpartition(LEAVE)[2]
        assert b"Traceback" not in person.seen
