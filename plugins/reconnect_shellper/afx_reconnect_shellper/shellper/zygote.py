"""The parent that every shellper is forked from: small, warm, and without any state.

For each byte that comes from the Tower with a descriptor it forks a holder, at once. A page of memory that a
forked process writes to is its own from then on, as is each that the zygote writes to later, and Python
writes to whatever it runs. So the holder is made and rehearsed here, before any fork, and what is left to do
after it does `birth`, in memory that is soon gone. The zygote ends with its Tower, when the socket between
them is at its end. No holder depends on it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from afx_holding import frames
from afx_holding.holder import ignore_signals, take_descriptor

from .holder import Shellper
from .nearness import lay_together

_REHEARSALS = 20
_ROOM = socket.CMSG_SPACE(4)


def main() -> None:
    """Serve the Tower at the other end of descriptor 0 until it is gone."""
    tower = socket.socket(fileno=take_descriptor())
    ignore_signals()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Holders that end are not waited for.
    _set_name()
    # None of it is needed; and a system that has no terminal left now may have one later.
    with suppress(OSError):
        lay_together(lambda: Shellper().rehearse(), (_serve, _live, Shellper.hold))
        for _time in range(_REHEARSALS):
            Shellper().rehearse()
            gc.collect(0)  # So that the next one lies where this one lay.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Again, since a rehearsal hears it.
    unborn = Shellper()
    # What is there now stays, so the collector of no child ever touches, and thereby copies, it.
    gc.collect()
    gc.freeze()
    while True:
        request, messages, _flags, _address = tower.recvmsg(1, _ROOM)
        if not request:
            return
        for _level, _kind, content in messages:
            descriptor = int.from_bytes(content, sys.byteorder)
            _serve(tower, descriptor, unborn)


def _serve(tower: socket.socket, descriptor: int, unborn: Shellper) -> None:
    """Fork a holder of what the Tower asks for over `descriptor`, or say why not."""
    try:
        child = os.fork()
    except OSError as error:
        sentence = f"The terminal cannot be made: {error.strerror}."
        with suppress(OSError):  # Whoever asked may be gone.
            os.write(descriptor, frames.control(frames.SPAWN_FAILED, message=sentence, hint=""))
    else:
        if child == 0:
            os.close(tower.fileno())  # The socket itself need not learn of it: it is never used here.
            _live(unborn, descriptor)
    os.close(descriptor)


def _live(holder: Shellper, launcher: int) -> NoReturn:
    """In the forked process: hold, and never return to the zygote's loop."""
    status = 1
    try:
        holder.hold(launcher)
        status = 0
    finally:
        os._exit(status)


def _set_name() -> None:
    try:
        comm = os.open("/proc/self/comm", os.O_WRONLY)
    except OSError:
        return  # Only Linux has it, and it is but a name.
    os.write(comm, b"afx-shellper")
    os.close(comm)
