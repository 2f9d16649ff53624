"""How a holder comes to hold a terminal: forked from the zygote, with a PTY of its own.

What it does from then on is `afx_holding.holder`'s; how the first program came to run is in `birth`. What is
run at every start is kept short: see `zygote` for why.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Final

from afx_holding.holder import Holder
from afx_holding.ring import Ring

from .birth import FAILED, NUMBERS, Opened, be_born
from .child import Pty
from .terminal import PtyTerminal

_PIECE: Final = 2048
_REHEARSED_TURNS: Final = 20
_REHEARSED_OUTPUT: Final = b"What a program writes.\n"


class Shellper(Holder):
    """The holder of a PTY, and of the program that is its child."""

    def __init__(self) -> None:
        """Make one that holds nothing yet: `hold`, in a process of its own, gives it everything."""
        self._pty = Pty(-1, -1)
        super().__init__(PtyTerminal(self._pty, Ring(0)))

    def hold(self, launcher: int) -> None:
        """Be the holder of what is asked for over `launcher`, until the terminal is over."""
        os.setsid()
        try:
            self._open(launcher)
            reader, writer = os.pipe()
            self._terminal.pid = os.fork()
        except OSError as error:
            self._launcher.refuse(f"The terminal cannot be made: {error.strerror}.")
            return
        if self._terminal.pid == 0:
            pty = self._pty
            be_born(Opened(self._launcher, pty.master, pty.slave, self._listener, writer))
        os.close(writer)
        will = b""
        # That process has turned into the program, or is gone, once there is no more.
        while piece := os.read(reader, _PIECE):
            will += piece
        os.close(reader)
        if will and not will.endswith(FAILED):
            self._inherit(will)
            while not self._over:
                self._turn()

    def rehearse(self) -> None:
        """Do what a holder does until nothing happens any more, and undo it.

        Python notes down what it does for the first times: versions of types, places of attributes. When
        the zygote has that noted, no holder writes to those pages.
        """
        launcher, tower = socket.socketpair()
        self._open(launcher.detach())
        self._inherit(NUMBERS.pack(1, 1, 0, 0, 0, 0, 0, 0, bytes(12), 0, 0, 0))
        os.set_blocking(self._pty.master, False)
        for turn in range(_REHEARSED_TURNS):
            if turn % 2:
                os.write(self._pty.slave, _REHEARSED_OUTPUT)
            self._turn()
        signal.set_wakeup_fd(-1)
        for descriptor in (self._wakeup, self._wakeup_end, self._pty.master, self._pty.slave):
            os.close(descriptor)
        for end in (self._listener, self._launcher.connection, tower):
            end.close()

    def _open(self, launcher: int) -> None:
        """Open all that a holder needs, and a PTY."""
        super()._open(launcher)
        self._pty.master, self._pty.slave = os.openpty()
        self._terminal.descriptor = self._pty.master

    def _inherit(self, will: bytes) -> None:
        """Take over what the program's process has made, see `birth.NUMBERS`."""
        terminal, ring, address = self._terminal, self._ring, self._address
        (
            terminal.cols, terminal.rows, ring.limit, self._husk_after, self._unnoticed_after,
            self._check_every, address.device, address.inode, epoch, directory, terminal_id, start,
        ) = NUMBERS.unpack_from(will)  # fmt: skip
        ring.epoch = epoch.decode("ascii")
        end = NUMBERS.size + directory
        address.directory = will[NUMBERS.size : end]
        address.terminal_id = will[end : end + terminal_id]
        end += terminal_id
        terminal.start = will[end : end + start].decode("ascii") or None
        self._begin(will[end + start :])
