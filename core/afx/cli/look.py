"""Commands that look into an agent's terminal: attach and logs."""

from __future__ import annotations

import re
import sys

import click

from afx.api.errors import ConflictError

from .commands import Command
from .door import agent_argument, connect_to
from .naming import Found

_TAIL_OF_A_LINE = 2000
_LEAST_TAIL = 64 * 1024
_SEQUENCE = re.compile(
    r"\x1b\[?[0-?]*[ -/]*\Z|\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|\Z)|[ -/]*[0-~])", re.DOTALL
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@click.command(cls=Command, example="afx attach builder/fix\nafx attach --read-only main\n")
@agent_argument
@click.option("--read-only", is_flag=True, help="Look, but do not type, and leave the size alone.")
def attach(*, agent: str, read_only: bool) -> int:
    r"""Put an agent's terminal into this one. The detach key, ctrl-\ twice, leaves it running.

    The connection outlives the Tower: while that is away it waits, and then goes on where it was. Input from
    a pipe is typed in, and its end ends nothing; the command ends with the agent's program.
    """
    from pathlib import Path

    from afx.settings import Settings, state_directory
    from afx.settings.values import key_code

    from .repository import workspace_or_none

    settings = Settings.load(workspace_or_none(Path.cwd()))
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
        case "detached":
            click.echo(f"[detached from {found.label}]", err=True)
        case _:
            how = "ended" if ending.code is None else f"exited with code {ending.code}"
            how = how if ending.signal is None else f"was killed by signal {ending.signal}"
            click.echo(f"[{found.label} {how}]", err=True)
    return 0


@click.command(cls=Command, example="afx logs builder/fix -n 200\nafx logs builder/fix --raw > output.bin\n")
@agent_argument
@click.option(
    "-n", "--lines", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many."
)
@click.option("--raw", is_flag=True, help="All that is kept, with its escape sequences.")
def logs(*, agent: str, lines: int, raw: bool) -> None:
    """Print the last output of an agent's terminal as text.

    Of a full-screen program the text is what it wrote, not what its screen shows; `afx attach` shows that.
    """
    tower, found = connect_to(agent)
    terminal = _terminal(found)
    if raw:
        sys.stdout.buffer.write(tower.output(terminal["id"]).data)
        sys.stdout.buffer.flush()
        return
    data = tower.output(terminal["id"], tail=max(_LEAST_TAIL, lines * _TAIL_OF_A_LINE)).data
    for line in text_lines(data)[-lines:]:
        click.echo(line)


def text_lines(output: bytes) -> list[str]:
    """Return terminal output as lines of text, without escape sequences and overwritten parts of lines."""
    text = _SEQUENCE.sub("", output.decode("utf-8", "replace"))
    lines = []
    for line in text.split("\n"):
        parts = [part for part in line.split("\r") if part]
        lines.append(_CONTROL.sub("", parts[-1] if parts else "").rstrip())
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _terminal(found: Found) -> dict[str, str]:
    terminal: dict[str, str] | None = found.agent["terminal"]
    if terminal is None:
        reason = f": {found.agent['reason']}" if found.agent.get("reason") else "."
        raise ConflictError(
            f"{found.label} has no terminal; it is {found.agent['state']}{reason}",
            hint=f"Start it with `afx start {found.label}`.",
        )
    return terminal
