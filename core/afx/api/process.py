"""Who a process is.

A pid alone names nobody: after the process ends the number is given to another. Here a process is
(pid, start time, boot id), and every question about life or death is asked of that triple.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

_PROC = Path("/proc")


class ProcessIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """One process of one boot of one machine.

    Attributes:
        pid: The process id.
        start: When it began, in the system's own notation: on Linux the clock ticks since boot (field 22
            of ``/proc/PID/stat``), elsewhere what ``ps -o lstart=`` prints.
        boot_id: The boot it belongs to, see :func:`boot_id`.
    """

    pid: int
    start: str
    boot_id: str


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of the machine from every other.

    Linux has a random id for it (``/proc/sys/kernel/random/boot_id``), macOS a session UUID.
    """
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _ask("sysctl", "-n", "kern.bootsessionuuid")


@functools.cache
def host_id() -> str:
    """Return the id of this machine, the same through reboots; rows in storage carry it.

    ``AFX_HOST_ID`` overrides it, for machines that were cloned with one ``/etc/machine-id``.
    """
    override = os.environ.get("AFX_HOST_ID")
    if override:
        return override
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            found = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if found:
            return found
    if sys.platform == "darwin":
        for line in _ask("ioreg", "-rd1", "-c", "IOPlatformExpertDevice").splitlines():
            if "IOPlatformUUID" in line:
                return line.rpartition("=")[2].strip().strip('"')
    return os.uname().nodename


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of the process that has `pid` now, or None where there is none.

    A process that ended but was not reaped yet (a zombie) counts as none: it runs no code any more.
    """
    if pid <= 0:
        return None
    start = _start_time(pid)
    return None if start is None else ProcessIdentity(pid=pid, start=start, boot_id=boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Tell whether exactly this process still runs. A newcomer with its pid does not count."""
    return identify(identity.pid) == identity


def age(identity: ProcessIdentity) -> float | None:
    """Return for how many seconds a process has run, or None where it is gone or that is not known."""
    if not is_alive(identity):
        return None
    try:
        up = float((_PROC / "uptime").read_text(encoding="ascii").split()[0])
        return up - int(identity.start) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        pass
    try:
        return time.time() - time.mktime(time.strptime(identity.start, "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return None


def send_signal(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; return False, and send nothing, where it is gone.

    Where the system has pidfds the check and the signal speak of the same process for certain; elsewhere
    the identity is compared immediately before.

    Raises:
        PermissionError: The process belongs to somebody else.
    """
    if hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal"):
        try:
            handle = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            return False
        try:
            if not is_alive(identity):
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True
    if not is_alive(identity):
        return False
    os.kill(identity.pid, number)
    return True


def _start_time(pid: int) -> str | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None if (_PROC / "self/stat").exists() else _ask("ps", "-o", "lstart=", "-p", str(pid)) or None
    # The second field is the program's name in parentheses and may hold spaces and parentheses itself, so
    # fields are counted after the last ")": the state is the first of them, field 22 the twentieth.
    fields = stat[stat.rindex(b")") + 1 :].split()
    return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def _ask(*argv: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    return done.stdout.strip()
