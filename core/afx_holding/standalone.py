"""A holder that is started on its own: a process for one terminal of a class that a plugin brings.

The Tower's side of it is `afx_holding.tower.strategy`.
"""

from __future__ import annotations

import os

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.holder import Holder, ignore_signals, take_descriptor
from afx_holding.launch import await_launch, first_welcome
from afx_holding.program import LaunchError
from afx_holding.ring import Ring
from afx_holding.terminal import Terminal


class StandaloneHolder(Holder):
    """The holder of whatever terminal it is given."""

    def hold(self, launcher: int) -> None:
        """Be the holder of what is asked for over `launcher`, until the terminal is over."""
        self._open(launcher)
        try:
            if not self._launch():
                return
        except LaunchError as error:
            self._launcher.refuse(error.message, error.hint)
            return
        except OSError as error:
            self._launcher.refuse(f"The terminal cannot be made: {error.strerror}.")
            return
        except frames.FrameError as error:
            self._launcher.refuse(f"The request to start a terminal cannot be read: {error}.")
            return
        while not self._over:
            self._turn()

    def _launch(self) -> bool:
        """Do what LAUNCH asks for; return False where nobody asks."""
        launch = await_launch(self._launcher)
        if launch is None:
            return False
        terminal, ring = self._terminal, self._ring
        ring.limit = launch.scrollback
        terminal.cols, terminal.rows = launch.cols, launch.rows
        self._husk_after, self._unnoticed_after = launch.husk_after, launch.unnoticed_after
        self._check_every = launch.check_every
        self._address = Address(os.fsencode(launch.directory), os.fsencode(launch.terminal_id))
        self._address.bind(self._listener)
        try:
            terminal.place = os.path.join(launch.directory, launch.terminal_id)  # noqa: PTH118
            terminal.launch(launch.program)
            terminal.resize(terminal.cols, terminal.rows)
        except BaseException:
            self._address.remove()
            raise
        self._begin(first_welcome(launch, os.getpid(), ring.epoch, terminal.pid, terminal.start))
        return True


def hold(terminal: type[Terminal]) -> None:
    """In a process that was just started: leave the one that started it, and hold a terminal.

    Descriptor 0 is a socket to the Tower. Whoever started this process is free as soon as it can wait for it.
    """
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    launcher = take_descriptor()
    ignore_signals()
    StandaloneHolder(terminal(Ring(0))).hold(launcher)
