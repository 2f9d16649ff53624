"""What an installation must be like: the state directory, the key, settings, plugins, programs, the Tower."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from afx.api.doctor import DoctorContext, Finding
from afx.api.errors import AfxError, UnreachableError
from afx.api.harness import HarnessProvider
from afx.api.process import ProcessIdentity
from afx.client.presence import absence, lock_holder
from afx.differing import RESTART, TowerPlugins
from afx.installed import Installed
from afx.quarantine import PluginInfo
from afx.settings import SETTINGS, Settings

from .machine import nearest, said_by, shell

STRATEGIES = tuple(name for name in SETTINGS if name.startswith("terminal.strategy"))
"""The settings that name a reconnect strategy."""

_SHORT_KEY = 32
_NAMING = (
    ("storage", "No Tower starts.", ("storage.name",)),
    ("strategy", "No terminal starts where it counts.", STRATEGIES),
    ("harness", "No agent starts where it counts.", ("agent.harness",)),
)


def check_home(context: DoctorContext) -> Iterator[Finding]:
    """Look at the state directory and at what must be private in it."""
    home = context.home
    try:
        facts = home.stat()
    except FileNotFoundError:
        yield _judge_missing(home)
        return
    except OSError as error:
        yield Finding.error(
            f"The state directory {home} cannot be used: {error.strerror}.", "No Tower starts."
        )
        return
    if not stat.S_ISDIR(facts.st_mode):
        # What is not ours is more likely a mistake in AFX_HOME than a thing to move.
        is_ours = facts.st_uid == os.geteuid()
        mend = shell("mv", home, f"{home}.old") if is_ours else ""
        yield Finding.error(f"{home} is no directory.", "No Tower starts.", mend)
        return
    yield from judge_home(home, facts.st_mode, is_ours=facts.st_uid == os.geteuid())
    if not os.access(home, os.R_OK | os.X_OK):
        return
    if not os.access(home, os.W_OK) or os.statvfs(home).f_flag & os.ST_RDONLY:
        yield Finding.error(
            f"{home} cannot be written.",
            "The Tower stores everything there, and starts nothing that it cannot store.",
        )
    yield judge_key(home / "key")
    for path in sorted(home.iterdir()):
        if path.is_symlink() or path.lstat().st_uid != os.geteuid():
            yield Finding.error(
                f"{path} is a symlink, or belongs to another user.",
                "afx makes no such thing there, and no Tower starts beside it.",
                shell("rm", "-r", path),
            )


def judge_home(home: Path, mode: int, *, is_ours: bool) -> Iterator[Finding]:
    """Say whether a state directory is private."""
    if not is_ours:
        yield Finding.error(
            f"The state directory {home} belongs to another user.",
            "Its owner can read the key, and with it do everything that you can.",
        )
    elif mode & 0o077:
        yield Finding.error(
            f"Others may enter the state directory {home} (mode {stat.S_IMODE(mode):o}).",
            "The key and the terminals lie in it.",
            shell("chmod", "700", home),
        )
    elif mode & stat.S_IRWXU != stat.S_IRWXU:
        yield Finding.error(
            f"You may not read, write and enter the state directory {home} (mode {stat.S_IMODE(mode):o}).",
            "The Tower stores everything there, and starts nothing that it cannot store.",
            shell("chmod", "700", home),
        )
    else:
        yield Finding.ok(f"The state directory is {home}.")


def _judge_missing(home: Path) -> Finding:
    """Say whether the state directory can be made."""
    why = "No Tower starts."
    if home.is_symlink():
        return Finding.error(f"{home} is a symlink that leads nowhere.", why, shell("rm", home))
    above = nearest(home)
    if not os.access(above, os.W_OK | os.X_OK):
        return Finding.error(
            f"The state directory {home} cannot be made, since you may not write to {above}.",
            f"{why} Set AFX_HOME to a directory that you may write.",
        )
    return Finding.ok(f"The state directory {home} will be made when the Tower starts.")


def judge_key(path: Path) -> Finding:
    """Say whether the key file can be used, and by its owner only."""
    why = "Whoever has the key can type into every agent."
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return Finding.ok("There is no key yet; the Tower makes one when it starts.")
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        # Of a directory nobody knows what is in it. A link, a pipe or another's file holds nothing of ours.
        is_directory = stat.S_ISDIR(facts.st_mode)
        mend = shell("mv", path, f"{path}.old") if is_directory else shell("rm", path)
        return Finding.error(f"The key {path} is not a plain file of yours.", why, mend)
    if facts.st_mode & 0o077:
        return Finding.error(
            f"Others may read or write the key {path} (mode {stat.S_IMODE(facts.st_mode):o}).",
            f"{why} If somebody may have read it, remove it and restart the Tower.",
            shell("chmod", "600", path),
        )
    if facts.st_size < _SHORT_KEY:
        return Finding.error(
            f"The key file {path} holds no key.", "The Tower does not start with it.", shell("rm", path)
        )
    return Finding.ok("The key is private.")


def judge_plugins(rows: Sequence[PluginInfo], in_tower: TowerPlugins | None = None) -> Iterator[Finding]:
    """Say which plugins are not as they should be.

    Args:
        rows: What is installed.
        in_tower: What the running Tower goes by; None where none answers.
    """
    active = 0
    for row in rows:
        name = f"The {row.kind} {row.name!r}"
        origin = f" of {row.distribution} {row.version}".rstrip() if row.distribution else ""
        if row.warnings:
            yield Finding.warning(
                f"{name}{origin}: {' '.join(row.warnings)}",
                "It does less than it should, or will with a later afx. Upgrade it, or tell its author.",
                "afx plugins",
            )
        if row.state == "active":
            active += 1
        elif row.state == "blocked":
            yield Finding.ok(f"{name} is switched off. {row.error}")
        else:
            yield Finding.warning(
                f"{name}{origin} is {row.state}{_since(row.since)}: {row.error}",
                f"What it brings cannot be used. {row.hint}",
                "afx plugins",
            )
        if in_tower is not None and (there := in_tower.differs(row, rows)) is not None:
            is_restart = there.hint == RESTART
            reason = f": {there.error}" if there.error else "."
            yield Finding.warning(
                f"{name}{origin} {there.words}{_since(there.since)}{reason}",
                "The Tower goes by what was there when it started." if is_restart else there.hint,
                "afx tower restart" if is_restart else "afx plugins",
            )
    if in_tower is not None and in_tower.dropped:
        yield Finding.warning(
            f"Observers are too slow: {in_tower.dropped} events were told to none of them.",
            "Whoever relies on them missed some events. `afx plugins` says which plugins observe.",
        )
    yield Finding.ok(f"{active} things that plugins bring are active.")


def _since(when: float | None) -> str:
    return "" if when is None else time.strftime(" since %Y-%m-%d %H:%M", time.localtime(when))


def judge_names(settings: Settings, rows: Sequence[PluginInfo]) -> Iterator[Finding]:
    """Say which settings name something that no plugin brings."""
    for kind, why, names in _NAMING:
        known = sorted(row.name for row in rows if row.kind == kind and row.state == "active")
        for name in names:
            if settings[name] and settings[name] not in known:
                yield Finding.error(
                    f"{name} is {settings[name]!r} ({settings.origin(name)}): no such {kind} is usable.",
                    f"{why} Known are: {', '.join(known) or 'none'}.",
                )


def check_harnesses(harnesses: Sequence[HarnessProvider], env: Mapping[str, str]) -> Iterator[Finding]:
    """Look for the program of each harness, and ask it for its version."""
    programs = {harness.name: harness.find(env) for harness in harnesses}
    for harness in harnesses:
        program = programs[harness.name]
        said = None if program is None else said_by(program, "--version")
        yield judge_program(harness.name, program, said, harness.checked_versions)
    if harnesses and not any(programs.values()):
        yield Finding.warning(
            "No agent program is installed.",
            "Only shells can be started until one is.",
        )


def judge_program(name: str, program: str | None, said: str | None, checked: Sequence[str]) -> Finding:
    """Say whether a harness has been tried with the program that is installed.

    Args:
        name: The harness.
        program: The program's path, None where it is not installed.
        said: What the program answers to ``--version``; None where it does not.
        checked: The versions that the harness was tried with.
    """
    if program is None:
        return Finding.ok(f"{name}: not installed.")
    version = re.search(r"\d+(?:\.\d+)+[-+.\w]*", said or "")
    if version is None:
        return Finding.warning(
            f"{name}: {program} does not say its version.", "Whether it is one that was tried is not known."
        )
    if checked and version[0] not in checked:
        return Finding.warning(
            f"{name}: {program} is {version[0]}; the harness was tried with {', '.join(checked)}.",
            "Programs change how they keep conversations; one might not be resumed.",
        )
    return Finding.ok(f"{name}: {program} is {version[0]}{', which was tried' if checked else ''}.")


def judge_absence(home: Path) -> Finding:
    """Say why the Tower of a state directory cannot be spoken to."""
    if lock_holder(home) is None:
        return Finding.ok("The Tower does not run.")
    why = absence(home)
    judged = Finding.warning if (home / "key").exists() else Finding.error
    return judged(why.message, why.hint, "afx tower restart")


def judge_silence(home: Path, error: AfxError) -> Finding:
    """Say why a Tower that is there does not answer, or cannot be asked."""
    holder = lock_holder(home)
    if isinstance(error, UnreachableError) and holder is not None and _is_stopped(holder):
        return Finding.error(
            f"The Tower (pid {holder.pid}) is stopped, as by SIGSTOP.",
            "It does not answer, and ends only once it runs again. Terminals live on meanwhile.",
            shell("kill", "-CONT", str(holder.pid)),
        )
    return Finding.error(error.message, f"Nobody can speak to it. {error.hint}".strip())


def _is_stopped(process: ProcessIdentity) -> bool:
    """Tell whether a process was stopped, where the system tells that (Linux)."""
    try:
        said = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return said.rpartition(")")[2].split()[0] in {"T", "t"}


def judge_tower(state: Mapping[str, Any], here: Installed) -> Iterator[Finding]:
    """Say how a running Tower is, by its own state.

    Args:
        state: What ``GET /api/state`` answered.
        here: The afx that is installed.
    """
    facts = state["tower"]
    if (what := here.unlike(facts)) is not None:
        yield Finding.warning(
            what, "It stays what it is until it is started again. Terminals live on.", "afx tower restart"
        )
    else:
        yield Finding.ok(f"The Tower {facts['version']} runs at {facts['url']} (pid {facts['pid']}).")
    agents = [agent for workspace in state["workspaces"] for agent in workspace["agents"]]
    for agent in agents:
        name = f"{agent['kind']}/{agent['name']}"
        if agent["state"] == "unreachable":
            yield Finding.warning(
                f"{name} is unreachable: {agent['reason']}",
                "Nothing is done to it but ask again; it comes back when its holder answers.",
                "afx status",
            )
        elif agent["state"] in {"lost", "crashed", "needs-attention"}:
            yield Finding.warning(
                f"{name} is {agent['state']}: {agent['reason']}",
                "It does not run. Its conversations are kept.",
                f"afx start {name}",
            )
    for orphan in state["orphans"]:
        yield Finding.warning(
            f"The terminal {orphan['terminal_id']} belongs to no agent: {orphan['note']}",
            "Somebody's work may run there; afx never ends it by itself.",
            "afx orphans",
        )
