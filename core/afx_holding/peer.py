"""Which user is on the other end of a Unix socket. Only the same user's processes talk to each other."""

from __future__ import annotations

import os
import socket
import struct
import sys

_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1


def is_same_user(connection: socket.socket) -> bool:
    """Tell whether the process at the other end has our effective user id.

    A pair made by `socket.socketpair` counts as ours: nobody else can hold the other end.
    """
    try:
        return _peer_uid(connection) == os.geteuid()
    except OSError:
        return False


def _peer_uid(connection: socket.socket) -> int:
    if sys.platform == "linux":
        _pid, uid, _gid = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
    else:
        # BSD's struct xucred: version, uid, then groups that do not matter here.
        _version, uid = struct.unpack_from("2I", connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76))
    return int(uid)
