"""Commands that look into an agent's terminal: attach and logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from afx.api.errors import ConflictError

from .commands import Command
from .door import agent_argument, connect_to
from .naming import Found
from .output import duration, plain

if TYPE_CHECKING:
    from afx.client.attach import Ending
    from afx.client.http import TowerClient

_TAIL_OF_A_LINE = 2000
_LEAST_TAIL = 64 * 1024


@click.command(cls=Command, example="afx attach builder/fix\nafx attach --read-only main\n")
@agent_argument
@click.option("--read-only", is_flag=True, help="Look, but do not type, and leave the size alone.")
def attach(*, agent: str, read_only: bool) -> int:
    r"""Put an agent's terminal into this one. The detach key, ctrl-\ twice, leaves it running.

    The connection outlives the Tower: while that is away it waits, and then goes on where it was. It outlives
    the agent's program, too: another may follow in the terminal. Input from a pipe is typed in, and its end
    ends nothing; the command then ends with the agent's program.
    """
    from afx.settings import Settings, state_directory
    from afx.settings.values import key_code

    from .repository import workspace_here_or_none

    settings = Settings.load(workspace_here_or_none())
    codes = [key_code(key) for key in settings["attach.detach_key"].split()]
    _, found = connect_to(agent)
    terminal = _terminal(found)

    import asyncio

    from afx.client import attach as far
    from afx.client.console import ConsoleClosedError
    from afx.client.keys import DetachKeys

    target = far.Target(found.id, found.label, terminal["id"], terminal.get("position") or "")
    keys = DetachKeys(codes)
    try:
        ending = asyncio.run(far.attach(state_directory(), target, keys, read_only=read_only))
    except ConsoleClosedError:
        return 1
    match ending.manner:
        case "signalled":
            return 128 + (ending.signal or 0)
        case "detached" if ending.over:
            click.echo(f"[detached from {found.label}, whose program {_how_ended(ending)}]", err=True)
        case "detached":
            click.echo(f"[detached from {found.label}]", err=True)
        case _:
            click.echo(f"[{found.label} {_how_ended(ending)}]", err=True)
    return 0


@click.command(
    cls=Command,
    example="""\
afx logs builder/fix -n 200
afx logs -f builder/fix | grep --line-buffered FAILED
afx logs builder/fix --raw > output.bin
""",
)
@agent_argument
@click.option(
    "-n", "--lines", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until ctrl-c.")
@click.option("--raw", is_flag=True, help="All that is kept, with its escape sequences.")
def logs(*, agent: str, lines: int, follow: bool, raw: bool) -> int:
    """Print the last output of an agent's terminal as text.

    Of a full-screen program the text is what it wrote, not what its screen shows; `afx attach` shows that.
    Of an agent without a terminal it is what the Tower kept of the last one.
    """
    tower, found = connect_to(agent)
    if found.agent["terminal"] is None and not follow:
        return _print_kept(tower, found, lines, raw=raw)
    terminal = _terminal(found)
    tail = None if raw else max(_LEAST_TAIL, lines * _TAIL_OF_A_LINE)
    output = tower.output(terminal["id"], tail=tail)
    data, begun = output.data, b""
    if follow and not raw:
        # A line that has only begun is printed once it ends.
        data, newline, begun = data.rpartition(b"\n")
        data += newline
    _print_output(data, lines, raw=raw)
    return _follow(found, terminal, output.end, begun, raw=raw) if follow else 0


def _print_output(data: bytes, lines: int, *, raw: bool) -> None:
    """Print output of a terminal as it is, or its last `lines` as text."""
    from .lines import text_lines

    if raw:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    for line in text_lines(data)[-lines:]:
        click.echo(line)


def _print_kept(tower: TowerClient, found: Found, lines: int, *, raw: bool) -> int:
    """Print what was kept of the terminal that an agent had, and say to standard error what it is."""
    kept = tower.last_screen(found.id)
    if kept is None:
        raise _no_terminal(found)
    data, at = kept
    _print_output(data, lines, raw=raw)
    said = [f"{found.label} is {found.agent['state']}.", plain(found.agent.get("reason", ""))]
    said.append(f"This was kept {duration(time.time() - at)} ago.")
    click.echo(f"[{' '.join(filter(None, said))}]", err=True)
    return 0


def _follow(found: Found, terminal: Mapping[str, str], since: str, begun: bytes, *, raw: bool) -> int:
    """Print what comes after a place in the output of a terminal, and of those that come in its place."""
    import asyncio

    from afx.client.attach import Attachment, Target
    from afx.client.console import ConsoleClosedError
    from afx.client.keys import DetachKeys
    from afx.settings import state_directory

    from .lines import LinesConsole

    async def run() -> None:
        console = LinesConsole(raw=raw)
        await console.write(begun)
        target = Target(found.id, found.label, terminal["id"])
        keys = DetachKeys(())
        await Attachment(
            state_directory(), target, console, keys, read_only=True, stay=True, since=since
        ).run()

    try:
        asyncio.run(run())
    except ConsoleClosedError:
        return 1
    return 0


def _how_ended(ending: Ending) -> str:
    if ending.signal is not None:
        return f"was killed by signal {ending.signal}"
    return "ended" if ending.code is None else f"exited with code {ending.code}"


def _terminal(found: Found) -> dict[str, str]:
    terminal: dict[str, str] | None = found.agent["terminal"]
    if terminal is None:
        raise _no_terminal(found)
    return terminal


def _no_terminal(found: Found) -> ConflictError:
    reason = f": {found.agent['reason']}" if found.agent.get("reason") else "."
    return ConflictError(
        f"{found.label} has no terminal; it is {found.agent['state']}{reason}",
        hint=f"Start it with `afx start {found.label}`.",
    )
