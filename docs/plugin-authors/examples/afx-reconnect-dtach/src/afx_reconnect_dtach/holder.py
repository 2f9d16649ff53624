"""What a terminal is here: a dtach with the program in it, and this process, which keeps its output.

A dtach keeps nothing of what its program wrote. So this process is attached to it as long as it lives, keeps
the last output, and is whom the Tower talks to. When it is killed the program runs on in its dtach; the next
one attaches to that. It is run on its own, and imports the standard library and `afx_holding` only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from afx_holding import children
from afx_holding.program import LaunchError, Program, find, start_of
from afx_holding.ring import Ring
from afx_holding.terminal import Terminal

Found = TypeVar("Found")

WITHIN = 5.0
"""How many seconds a dtach may take to come up."""
BECOME = """
cd "$1" && shift && echo $$ >"$0" && read -r begin && exec "$@"
"""
"""What dtach runs at first: it says who it is, waits until somebody is attached, and turns into the program.
What the program wrote before would be lost."""
HINT = "Debian has it in the package dtach."

# What a client says to dtach 0.9, in packets of ten bytes. What comes back is output, and nothing else.
PACKET = struct.Struct("=BB8s")
SIZE = struct.Struct("=HHHH")
PUSH, ATTACH, RESIZE = 0, 1, 3

BECOME_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class DtachTerminal(Terminal):
    """A program in a dtach. Beside the holder's socket lie that of the dtach, and the program's pid."""

    def __init__(self, ring: Ring) -> None:
        super().__init__(ring)
        self.connection: socket.socket | None = None
        if sys.platform == "linux":
            # A dtach does not ask how its program ended. When it is gone, this process can.
            ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1, 0, 0, 0)

    # Starting

    def launch(self, program: Program) -> None:
        """Attach to the dtach if it is there already, else start one with the program in it."""
        try:
            self.attach()
        except OSError:
            self.begin(program)
        else:
            self.pid = self.pid_in_file()
            # All that a dtach can do for those who come late: have the program repaint.
            self.jiggle()
        self.start = start_of(self.pid)

    def begin(self, program: Program) -> None:
        """Start a dtach, attach to it, and only then let the program begin."""
        path = find(program)
        try:
            dtach = find(Program(["dtach"], program.env, "/", None))
        except LaunchError:
            raise LaunchError("dtach is not installed.", HINT) from None
        directory, name = os.path.split(self.place)
        for suffix in (".dtach", ".pid"):
            Path(self.place + suffix).unlink(missing_ok=True)
        words = [dtach, "-N", f"{name}.dtach", "/bin/sh", "-c", BECOME, f"{self.place}.pid"]
        words += [program.cwd, path, *program.argv[1:]]
        pid, _ = children.start(dtach, Program(words, program.env, directory, program.nofile), lambda: None)
        try:
            eventually(self.attach)
            self.show_size(self.cols, self.rows)
            # The line that `read` waits for. Once its echo comes, this process surely is attached.
            self.send(PACKET.pack(PUSH, 1, b"\n"))
            self.add_output(eventually(self.first_output).removeprefix(b"\r\n"))
            self.pid = eventually(self.pid_in_file)
        except OSError as error:
            os.killpg(pid, signal.SIGKILL)
            raise LaunchError("dtach did not come up.") from error

    def attach(self) -> None:
        """Be sent the output of the dtach from now on."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory, name = os.path.split(self.place)
        # By a name of few bytes: the path of a socket may have 103.
        os.chdir(directory)
        try:
            connection.connect(f"{name}.dtach")
        except OSError:
            connection.close()
            raise
        finally:
            os.chdir("/")
        connection.setblocking(False)
        if self.connection is not None:
            self.connection.close()
        self.connection, self.descriptor = connection, connection.fileno()
        self.exit, self.hung_up = None, False
        self.send(PACKET.pack(ATTACH, 0, b""))

    def pid_in_file(self) -> int:
        """Return the pid of the program; what writes it is what turns into it."""
        text = Path(f"{self.place}.pid").read_text(encoding="ascii")
        if not text.endswith("\n"):
            raise BlockingIOError
        return int(text)

    def first_output(self) -> bytes:
        """Return the first that comes."""
        return os.read(self.descriptor, 4096)

    # While it runs

    def send(self, packet: bytes) -> None:
        """Send a packet as soon as the dtach takes it."""
        self.input += packet
        self.write_input()

    def encode(self, data: bytes) -> bytes:
        """Return the packets by which `data` is typed."""
        pieces = (data[begin : begin + 8] for begin in range(0, len(data), 8))
        return b"".join(PACKET.pack(PUSH, len(piece), piece) for piece in pieces)

    def show_size(self, cols: int, rows: int) -> None:
        """Let the program see a size."""
        if self.exit is None:
            self.send(PACKET.pack(RESIZE, 0, SIZE.pack(rows, cols, 0, 0)))

    def signal_foreground(self, number: int) -> bool:
        """Signal the group in the foreground, which only Linux tells those who do not hold the terminal."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_bytes()
            group = int(stat[stat.rindex(b")") + 1 :].split()[5])
            if group <= 0 or start_of(self.pid) != self.start:
                return False
            os.killpg(group, number)
        except OSError:
            return False
        return True

    def signal_program(self, number: int) -> None:
        """Signal the program's group, unless its number is somebody else's by now."""
        if start_of(self.pid) == self.start:
            super().signal_program(number)

    # Its end

    def wait(self) -> int | None:
        """Return how the program ended. It is the dtach's child; once that is gone, it is this process's."""
        ended = None
        with suppress(ChildProcessError):
            while (child := os.waitpid(-1, os.WNOHANG))[0]:
                if child[0] == self.pid:
                    ended = child[1]
        if ended is None and self.hung_up and self.is_gone():
            raise ChildProcessError
        return ended

    def is_gone(self) -> bool:
        """Tell whether the program is gone. Where an older holder started its dtach, that is seen so only."""
        try:
            return start_of(self.pid) != self.start
        except OSError:
            return True


def eventually(attempt: Callable[[], Found]) -> Found:
    """Return what an attempt returns once it succeeds.

    Raises:
        OSError: It did not in good time.
    """
    until = time.monotonic() + WITHIN
    while True:
        try:
            return attempt()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
