"""How a holder comes to its terminal: the process that becomes the program makes everything first.

Whatever Python does, it writes to memory, and a holder keeps each page it ever wrote to for as long as it
lives. The memory of the program's process is gone once it runs. So that process reads what the Tower asks
for, finds the program, makes the PTY and the socket, hands them to its parent, and turns into the program.
Where it cannot, it says so to the Tower, removes what it made, and the holder ends too.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import Final, NamedTuple, NoReturn

from . import frames
from .address import Address
from .child import LaunchError, Pty, become, find, start_of
from .clients import Client
from .launch import Launch, read_launch

_LAUNCH_WITHIN: Final = 5.0
_DESCRIPTORS: Final = struct.Struct("@3i")
_NUMBERS: Final = struct.Struct("!HHQdddQQ12sHH")
_ROOM: Final = socket.CMSG_SPACE(_DESCRIPTORS.size)
_PIECE: Final = 2048
_FAILED: Final = b"!"
"""The last of what is handed over where the program could not be started. No WELCOME ends with it."""


class Inheritance(NamedTuple):
    """What a holder is handed.

    Attributes:
        master: The descriptor of the PTY.
        slave: That of its other side.
        listener: That of the listening socket.
        socket_file: The device and number of the socket's file.
        start: When the program's process began, as `start_of` tells it.
        welcome: The WELCOME frame for the Tower that asked.
        scrollback, husk_after, unnoticed_after, check_every: See `Launch`.
    """

    master: int
    slave: int
    listener: int
    cols: int
    rows: int
    scrollback: int
    husk_after: float
    unnoticed_after: float
    check_every: float
    socket_file: tuple[int, int]
    epoch: str
    start: str | None
    directory: str
    terminal_id: str
    welcome: bytes


def inherit(source: socket.socket) -> Inheritance | None:
    """Return what the program's process hands over; None where the program could not be started.

    It returns once that process has turned into the program: nothing else ends what comes from `source`.
    """
    piece, messages, _flags, _address = source.recvmsg(_PIECE, _ROOM)
    handed = piece
    while piece:
        piece = source.recv(_PIECE)
        handed += piece
    if not messages or handed.endswith(_FAILED):
        return None
    master, slave, listener = _DESCRIPTORS.unpack(messages[0][2])
    for descriptor in (master, slave, listener):
        os.set_inheritable(descriptor, False)  # As received, they would reach the next program.
    cols, rows, scrollback, husk_after, unnoticed_after, check_every, device, inode, epoch, path_end, end = (
        _NUMBERS.unpack_from(handed)
    )
    names = handed[_NUMBERS.size : _NUMBERS.size + end]
    start, terminal_id = names[path_end:].split(b"\0")
    return Inheritance(
        master,
        slave,
        listener,
        cols,
        rows,
        scrollback,
        husk_after,
        unnoticed_after,
        check_every,
        (device, inode),
        epoch.decode("ascii"),
        start.decode("ascii") or None,
        os.fsdecode(names[:path_end]),
        terminal_id.decode("ascii"),
        handed[_NUMBERS.size + end :],
    )


def be_born(launcher: int, heir: socket.socket) -> NoReturn:
    """Make what LAUNCH asks for over `launcher`, hand it to `heir`, and turn into the program."""
    client = Client(socket.socket(fileno=launcher))
    try:
        launch = _await_launch(client)
        if launch is not None:
            _make(launch, heir)
    except LaunchError as error:
        client.refuse(error.message, error.hint)
    except OSError as error:
        client.refuse(f"The terminal cannot be made: {error.strerror}.")
    except frames.FrameError as error:
        client.refuse(f"The request to start a terminal cannot be read: {error}.")
    finally:
        os._exit(127)


def _await_launch(client: Client) -> Launch | None:
    """Return what the LAUNCH frame says; None where none comes."""
    until = time.monotonic() + _LAUNCH_WITHIN
    while (left := until - time.monotonic()) > 0 and not client.lost:
        select.select([client], [], [], left)
        for kind, payload in client.decoder.feed(client.receive()):
            if kind == frames.LAUNCH:
                return read_launch(frames.fields_of(payload))
    return None


def _make(launch: Launch, heir: socket.socket) -> NoReturn:
    path = find(launch.program)
    pty = Pty.open(launch.cols, launch.rows)
    address = Address(launch.directory, launch.terminal_id)
    listener = address.bind()
    try:
        handed = _will(launch, address)
        descriptors = [pty.master, pty.slave, listener.fileno()]
        sent = socket.send_fds(heir, [handed], descriptors)
        heir.sendall(handed[sent:])
        become(path, launch.program, pty.slave)
    except BaseException:
        address.remove()
        heir.sendall(_FAILED)
        raise


def _will(launch: Launch, address: Address) -> bytes:
    epoch = os.urandom(6).hex()
    holder, program = os.getppid(), os.getpid()
    start = start_of(program)
    welcome = frames.control(
        frames.WELCOME,
        version=frames.VERSION,
        pid=holder,
        pid_start=start_of(holder),
        terminal_id=launch.terminal_id,
        agent_id=launch.agent_id,
        label=launch.label,
        epoch=epoch,
        start=0,
        offset=0,
        cols=launch.cols,
        rows=launch.rows,
        started_at=time.time(),
        last_output_at=None,
        child={"pid": program, "start": start},
        exit=None,
        resumed=False,
    )
    directory = os.fsencode(launch.directory)
    names = b"%b%b\0%b" % (directory, (start or "").encode("ascii"), launch.terminal_id.encode("ascii"))
    device, inode = address.file or (0, 0)
    numbers = _NUMBERS.pack(
        launch.cols,
        launch.rows,
        launch.scrollback,
        launch.husk_after,
        launch.unnoticed_after,
        launch.check_every,
        device,
        inode,
        epoch.encode("ascii"),
        len(directory),
        len(names),
    )
    return numbers + names + welcome
