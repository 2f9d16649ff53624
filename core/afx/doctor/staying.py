"""Whether agents outlive a logout and the end of the Tower's unit, where systemd manages either."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from afx.api.doctor import DoctorContext, Finding
from afx.client.presence import lock_holder

from .machine import said_by

_SYSTEMD = Path("/run/systemd/system")
_KEEPING = ("process", "none")


class Manager(msgspec.Struct, frozen=True, kw_only=True):
    """What systemd says of this user and of the Tower.

    Attributes:
        kills_at_logout: Whether everything of a user who logs out is killed; None where it cannot be asked.
        lingers: Whether this user's services stay without a login; None where it cannot be asked.
        unit: The unit in which the Tower runs; empty where it runs in none, or does not run.
        kill_mode: What stopping that unit kills.
    """

    kills_at_logout: bool | None = None
    lingers: bool | None = None
    unit: str = ""
    kill_mode: str | None = None


def check_staying(context: DoctorContext) -> Iterator[Finding]:
    """Ask systemd, where it runs."""
    if not _SYSTEMD.is_dir():
        yield Finding.ok("No systemd runs here, so none ends anything at logout.")
        return
    yield from judge_manager(_ask(context))


def judge_manager(manager: Manager) -> Iterator[Finding]:
    """Say whether terminals outlive a logout, and the end of the Tower's unit."""
    lingering = manager.lingers is True
    if manager.kills_at_logout and not lingering:
        yield Finding.error(
            "A logout kills all your processes (KillUserProcesses=yes), and you do not linger.",
            "Every agent ends with your last login session.",
            "loginctl enable-linger",
        )
    elif manager.unit and "user@" in manager.unit and not lingering:
        yield Finding.warning(
            "The Tower is a service of your login, and you do not linger.",
            "With your last login session your services end, and they start again only when you log in.",
            "loginctl enable-linger",
        )
    else:
        known = manager.kills_at_logout is not None
        yield Finding.ok("A logout ends no agent." if known else "systemd does not say what a logout ends.")
    if manager.kill_mode is not None and manager.kill_mode not in _KEEPING:
        yield Finding.error(
            f"The unit {manager.unit.rpartition('/')[2]} has KillMode={manager.kill_mode}.",
            "Stopping or restarting it kills every terminal together with the Tower.",
            "afx service install",
        )


def unit_of(cgroup: str) -> str:
    """Return the path of the innermost service in the text of a ``/proc/PID/cgroup``; empty where none is."""
    for line in cgroup.splitlines():
        path = line.split(":", 2)[-1]
        found = re.match(r".*/[^/]+\.service(?=/|$)", path)
        if found and not re.search(r"/user@\d+\.service$", found[0]):
            return found[0]
    return ""


def _ask(context: DoctorContext) -> Manager:
    kills = said_by("loginctl", "show", "--property=KillUserProcesses", "--value")
    lingers = said_by("loginctl", "show-user", str(os.geteuid()), "--property=Linger", "--value")
    unit = ""
    holder = lock_holder(context.home)
    if holder is not None:
        try:
            unit = unit_of(Path(f"/proc/{holder.pid}/cgroup").read_text(encoding="utf-8"))
        except OSError:
            unit = ""
    mode = None
    if unit:
        of_user = ("--user",) if "/user@" in unit else ()
        mode = said_by("systemctl", *of_user, "show", "-p", "KillMode", "--value", unit.rpartition("/")[2])
    return Manager(
        kills_at_logout=None if kills is None else kills == "yes",
        lingers=None if lingers is None else lingers == "yes",
        unit=unit,
        kill_mode=mode,
    )
