"""The pipe from a pane, which brings its output until tmux closes it; another one may follow.

tmux closes it with the pane; from 3.8 on also when the pane's program ends. For the next program the Tower
has tmux lay another pipe. Whom tmux starts on that finds the recorder there, hands the pipe over, and leaves.
"""

from __future__ import annotations

import os
import select
import socket
from typing import Final

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.clients import Client

_TAKEN_WITHIN: Final = 5.0
_HELLO: Final = frames.control(frames.HELLO, version=frames.VERSION, client="pipe")


class Pipe:
    """Where the output comes from: descriptor 0 at first.

    Attributes:
        laid: Whether anything still comes.
    """

    def __init__(self) -> None:
        self.descriptor = 0
        self.laid = True
        os.set_blocking(0, False)

    def read(self) -> bytes | None:
        """Return one piece of output, None where there is none now, and nothing where none will come."""
        try:
            return os.read(self.descriptor, frames.PIECE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    @property
    def is_ready(self) -> bool:
        """Whether there is output, or its end, to be read."""
        return self.laid and bool(select.select([self.descriptor], [], [], 0)[0])

    def end(self) -> None:
        """Take note that nothing comes any more."""
        self.laid = False
        os.close(self.descriptor)

    def take(self, descriptor: int) -> None:
        """Go on with another pipe."""
        os.set_blocking(descriptor, False)
        self.descriptor, self.laid = descriptor, True


def receive(client: Client) -> tuple[bytes, list[int]]:
    """Return what came from a client that has not said yet who it is, and descriptors that came with it."""
    try:
        data, descriptors, _, _ = socket.recv_fds(client.connection, frames.PIECE, 1)
    except BlockingIOError:
        return b"", []
    except OSError:
        data, descriptors = b"", []
    if not data:
        client.lost = True
    return data, descriptors


def hand_over(address: Address) -> bool:
    """Give the pipe on descriptor 0 to the recorder that is there; return whether one took it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TAKEN_WITHIN)
        try:
            address.connect(connection)
            socket.send_fds(connection, [_HELLO], [0])
            return connection.recv(1) != b""
        except OSError:
            return False
