"""The parent that every shellper is forked from: small, warm, and without any state.

For each byte that comes from the Tower with a descriptor, it reads over that descriptor what is to be held,
makes it ready, and forks a process that holds it. A page of memory that a forked process writes to is its own
from then on, and Python writes to whatever it runs: so what can be done before the fork is done here, and
then let go of. It ends with its Tower, when the socket between them is at its end. No holder depends on it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import time

from . import frames
from .child import LaunchError
from .clients import Client
from .holder import Holder
from .launch import Launch, read_launch

_LAUNCH_WITHIN = 5.0
_IGNORED = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP, signal.SIGTTIN,
    signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD,
)  # fmt: skip


def main() -> None:
    """Serve the Tower at the other end of descriptor 0 until it is gone."""
    tower = socket.socket(fileno=os.dup(0))
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    # Holders inherit this: none of these ends one. SIGCHLD: holders that end are not waited for.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    # A holder is told by it to end its program, and ends. Here it does nothing.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    # What is there now stays, so the collector of no child ever touches, and thereby copies, it.
    gc.collect()
    gc.freeze()
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(tower, 1, 1)
        if not request:
            return
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # As received, it would reach the terminal's program.
            _serve(tower, Client(socket.socket(fileno=descriptor)))


def _serve(tower: socket.socket, client: Client) -> None:
    """Fork a holder of what the Tower asks for over `client`, or say why not."""
    holder: Holder | None = None
    try:
        launch = _await_launch(client)
        if launch is None:
            return
        holder = Holder(launch, client)
        try:
            child = os.fork()
        except OSError:
            holder.leave_nothing()
            raise
        if child == 0:
            tower.close()
            _live(holder)
    except LaunchError as error:
        client.refuse(error.message, error.hint)
    except OSError as error:
        client.refuse(f"The terminal cannot be made: {error.strerror}.")
    except frames.FrameError as error:
        client.refuse(f"The request to start a terminal cannot be read: {error}.")
    finally:
        client.connection.close()
        if holder is not None:
            holder.let_go()


def _await_launch(client: Client) -> Launch | None:
    """Return what the LAUNCH frame says; None where none comes."""
    until = time.monotonic() + _LAUNCH_WITHIN
    while (left := until - time.monotonic()) > 0 and not client.lost:
        select.select([client], [], [], left)
        for kind, payload in client.decoder.feed(client.receive()):
            if kind == frames.LAUNCH:
                return read_launch(frames.fields_of(payload))
    return None


def _live(holder: Holder) -> None:
    """In the forked process: hold, and never return to the zygote's loop."""
    status = 1
    try:
        holder.hold()
        status = 0
    finally:
        os._exit(status)
