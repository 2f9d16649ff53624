"""The parent that every shellper is forked from: small, warm, and without any state.

It holds nothing but imported modules, which all shellpers then share in memory. For each byte that comes from
the Tower with a descriptor, it forks a process that becomes a holder and speaks over that descriptor. It ends
with its Tower: the socket between them is then at its end. Holders do not depend on it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from .holder import hold


def main() -> None:
    """Serve the Tower at the other end of descriptor 0 until it is gone."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Its end is the end of the socket, and nothing else.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Holders that end are not waited for.
    tower = socket.socket(fileno=os.dup(0))
    # What is there now stays, so the collector of no child ever touches, and thereby copies, it.
    gc.collect()
    gc.freeze()
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(tower, 1, 1)
        if not request:
            return
        for descriptor in descriptors:
            if os.fork() == 0:
                tower.close()
                _live(descriptor)
            os.close(descriptor)


def _live(descriptor: int) -> None:
    """In the forked child: be a holder, and never return to the zygote's loop."""
    status = 1
    try:
        hold(socket.socket(fileno=descriptor))
        status = 0
    finally:
        os._exit(status)
