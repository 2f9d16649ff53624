"""How a holder comes to its terminal: the process that becomes the program makes everything first.

Whatever Python does, it writes to memory, and a holder keeps each page it ever wrote to for as long as it
lives. The memory of the program's process is gone once it runs. So that process reads what the Tower asks
for, finds the program, prepares what its parent opened, tells it all that it has to know, and turns into the
program. Where it cannot, it removes what it made and says so to the Tower, and the holder ends too.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from functools import partial
from typing import Final, NamedTuple, NoReturn

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.children import become
from afx_holding.clients import Client
from afx_holding.launch import Launch, await_launch, first_welcome
from afx_holding.program import LaunchError, find, start_of

from .child import Pty, take

NUMBERS: Final = struct.Struct("!HHQdddqQ12sHHH")
"""What a holder is told first: the size, the scrollback and the settings of `Launch`, the device and number
of the socket's file, the epoch, and the lengths of three byte strings that follow: the directory, the
terminal's id, and when the program began. The WELCOME frame for the Tower that asked is the rest."""
FAILED: Final = b"!"
"""The last that a holder is told where the program could not be started. No WELCOME ends with it."""


class Opened(NamedTuple):
    """What a holder has opened for its terminal, and the process that becomes the program makes ready.

    Attributes:
        launcher: The connection to the Tower that asks for a terminal.
        master: The PTY.
        slave: Its other side.
        listener: A socket that is bound nowhere yet.
        heir: The writing end of the pipe to the holder.
    """

    launcher: Client
    master: int
    slave: int
    listener: socket.socket
    heir: int


def be_born(opened: Opened) -> NoReturn:
    """Do what LAUNCH asks for, tell the holder of it, and turn into the program."""
    signal.set_wakeup_fd(-1)  # What is sent to this process does not concern the holder.
    client = opened.launcher
    try:
        launch = await_launch(client)
        if launch is not None:
            _make(launch, opened)
    except LaunchError as error:
        client.refuse(error.message, error.hint)
    except OSError as error:
        client.refuse(f"The terminal cannot be made: {error.strerror}.")
    except frames.FrameError as error:
        client.refuse(f"The request to start a terminal cannot be read: {error}.")
    finally:
        os._exit(127)


def _make(launch: Launch, opened: Opened) -> NoReturn:
    path = find(launch.program)
    Pty(opened.master, opened.slave).prepare(launch.cols, launch.rows)
    address = Address(os.fsencode(launch.directory), os.fsencode(launch.terminal_id))
    address.bind(opened.listener)
    try:
        os.write(opened.heir, _will(launch, address))
        become(path, launch.program, partial(take, opened.slave))
    except BaseException:
        address.remove()
        os.write(opened.heir, FAILED)
        raise


def _will(launch: Launch, address: Address) -> bytes:
    """Return what the holder is told, see `NUMBERS`."""
    epoch = os.urandom(6).hex()
    holder, program = os.getppid(), os.getpid()
    start = start_of(program)
    welcome = first_welcome(launch, holder, epoch, program, start)
    began = (start or "").encode("ascii")
    numbers = NUMBERS.pack(
        launch.cols,
        launch.rows,
        launch.scrollback,
        launch.husk_after,
        launch.unnoticed_after,
        launch.check_every,
        address.device,
        address.inode,
        epoch.encode("ascii"),
        len(address.directory),
        len(address.terminal_id),
        len(began),
    )
    return b"".join((numbers, address.directory, address.terminal_id, began, welcome))
