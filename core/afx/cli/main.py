"""The table of all commands, and the one place where errors become sentences and exit statuses."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from afx import __version__

from .commands import Lazy, LazyGroup
from .errors import report

COMMANDS = {
    "up": Lazy("up:up", "Get going here: the Tower, this repository, an architect."),
    "down": Lazy("up:down", "Stop the Tower; terminals live on."),
    "open": Lazy("up:open_page", "Open the Tower's page in the browser."),
    "status": Lazy("status:status", "Show every workspace and agent."),
    "spawn": Lazy("agents:spawn", "Start a builder in a git worktree of its own."),
    "shell": Lazy("agents:shell", "Start a shell in this workspace."),
    "attach": Lazy("look:attach", "Put an agent's terminal into this one."),
    "logs": Lazy("look:logs", "Print the last output of an agent."),
    "send": Lazy("agents:send", "Type a message into an agent's terminal."),
    "start": Lazy("agents:start", "Bring an agent back that does not run."),
    "stop": Lazy("agents:stop", "Stop an agent; it stays stopped."),
    "cleanup": Lazy("agents:cleanup", "Remove an agent with its terminal and worktree."),
    "conversations": Lazy("conversations:conversations", "List an agent's conversations, or choose one."),
    "orphans": Lazy("orphans:orphans", "List live terminals that belong to no agent."),
    "adopt": Lazy("orphans:adopt", "Make an orphan the terminal of an agent."),
    "explain": Lazy("explain:explain", "Explain how an agent was brought back, and why so."),
    "architect": Lazy("architect:architect", "Start, stop, list, add and remove architects."),
    "workspace": Lazy("workspace:workspace", "Start, stop, list, forget and recover workspaces."),
    "tower": Lazy("tower:tower", "Start, stop and inspect the Tower itself."),
    "service": Lazy("service:service", "Have the Tower started at login."),
    "doctor": Lazy("doctor:doctor", "Check the machine and the installation."),
    "harness": Lazy("harness:harness", "Try a harness before an agent depends on it."),
    "plugin": Lazy("plugin:plugin", "Write a plugin, and check one."),
    "plugins": Lazy("plugins:plugins", "List the plugins and what is wrong with them."),
    "config": Lazy("config:config", "Show the settings and where each comes from."),
    "completion": Lazy("completion:completion", "Print the completion script of a shell."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    example="""\
afx up                                      the Tower, this repository, an architect
afx spawn fix --task "Repair the login"     a builder in .builders/fix
afx status                                  who runs
afx attach builder/fix                      its terminal in yours; ctrl-\\ twice leaves
""",
)
@click.version_option(__version__, prog_name="afx", message="%(prog)s %(version)s")
def root() -> None:
    """Keep coding agents alive: their terminals outlive the server, their conversations the terminals."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit status."""
    color = False if os.environ.get("NO_COLOR") else None
    try:
        status = root.main(list(arguments), prog_name="afx", standalone_mode=False, color=color)
    except Exception as error:  # noqa: BLE001 - the last place before the person
        return report(error)
    except KeyboardInterrupt:
        return report(click.Abort())
    return status if isinstance(status, int) else 0
