"""Commands about the Tower itself: start, stop, restart, status, log."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from pathlib import Path

import click

from afx.api.errors import NotFoundError
from afx.client.http import TowerClient, TowerDownError
from afx.settings import state_directory

from . import launcher
from .commands import Command, LazyGroup
from .output import counted, duration, json_option, print_json, print_other_version
from .process import COMMAND

NOT_RUNNING = 3

_PORT = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port to listen on, 0 for any free one; else tower.port.",
)


@click.group(cls=LazyGroup, example="afx tower start\nafx tower status\n")
def tower() -> None:
    """Start, stop and inspect the Tower, the one server of a state directory."""


@tower.command("start", cls=Command, example="afx tower start\nafx tower start --port 0 --json\n")
@click.option("--foreground", is_flag=True, help="Stay in this terminal; ctrl-c stops it.")
@_PORT
@json_option
def start(*, foreground: bool, port: int | None, as_json: bool) -> None:
    """Start the Tower and return when it serves. Every terminal that survived is there by then."""
    home = state_directory()
    if foreground:
        env = launcher.environment(home, port)
        launcher.make_home(home)
        os.execve(COMMAND[0], COMMAND, env)  # noqa: S606 - no shell is wanted
    started = launcher.start(home, port)
    if as_json:
        print_json({**started._asdict(), "home": str(home)})
    else:
        click.echo(f"The Tower {'runs already' if started.already else 'serves'} at {started.url}")


@tower.command("stop", cls=Command, example="afx tower stop\n")
@json_option
def stop(*, as_json: bool) -> None:
    """Stop the Tower and return when it is gone. No terminal is stopped: all of them live on."""
    pid = launcher.stop(state_directory())
    if as_json:
        print_json({"stopped": pid is not None, "pid": pid})
    else:
        click.echo("The Tower is not running." if pid is None else "The Tower is stopped; terminals live on.")


@tower.command("restart", cls=Command, example="afx tower restart\n")
@_PORT
@json_option
def restart(*, port: int | None, as_json: bool) -> None:
    """Stop the Tower and start it again, on the same port unless told otherwise."""
    home = state_directory()
    started = launcher.restart(home, port)
    if as_json:
        print_json({**started._asdict(), "home": str(home)})
    else:
        click.echo(f"The Tower serves at {started.url}")


@tower.command("status", cls=Command, example="afx tower status || afx tower start\n")
@json_option
def status(*, as_json: bool) -> int:
    """Say whether the Tower runs. The exit status is 0 where it does, and 3 where not."""
    home = state_directory()
    try:
        state = TowerClient.connect(home).state()
    except TowerDownError:
        return _print_absence(home, as_json=as_json)
    facts = state["tower"]
    states = Counter(agent["state"] for place in state["workspaces"] for agent in place["agents"])
    if as_json:
        print_json(
            {
                "running": True,
                **facts,
                "uptime": time.time() - facts["started_at"],
                "workspaces": len(state["workspaces"]),
                "agents": states.total(),
                "states": dict(states),
            }
        )
        return 0
    click.echo(f"The Tower {facts['version']} runs at {facts['url']}")
    click.echo(f"pid {facts['pid']}, up {duration(time.time() - facts['started_at'])}, state in {home}")
    print_other_version(facts["version"])
    counts = ", ".join(f"{count} {name}" for name, count in sorted(states.items()))
    workspaces, agents = counted(len(state["workspaces"]), "workspace"), counted(states.total(), "agent")
    click.echo(f"{workspaces}, {agents}{f': {counts}' if counts else ''}")
    return 0


@tower.command("log", cls=Command, example="afx tower log -n 100\nafx tower log -f\n")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until ctrl-c.")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 1_000_000), default=50, show_default=True, help="How many."
)
def log(*, follow: bool, lines: int) -> None:
    """Print the end of the Tower's log."""
    path = state_directory() / "tower.log"
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no log at {path} yet.", hint="The Tower makes it: `afx tower start`."
        ) from None
    with file:
        click.echo("".join(deque(file, maxlen=lines)), nl=False)
        position, inode = file.tell(), os.fstat(file.fileno()).st_ino
    while follow:
        time.sleep(0.2)
        position, inode = _print_news(path, position, inode)


def _print_absence(home: Path, *, as_json: bool) -> int:
    from afx.client.presence import absence, lock_holder

    holder = lock_holder(home)
    if as_json:
        pid = None if holder is None else holder.pid
        print_json({"running": False, "starting": holder is not None, "pid": pid, "home": str(home)})
    else:
        why = absence(home)
        click.echo(f"{why.message} {why.hint}")
    return NOT_RUNNING


def _print_news(path: Path, position: int, inode: int) -> tuple[int, int]:
    """Print what was added to a file that may have been rotated; return where it ends now."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino == inode:
                file.seek(position)
            data = file.read()
            click.echo(data.decode("utf-8", "replace"), nl=False)
            return file.tell(), os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return 0, 0
