"""A private tmux server for tests, and what a person does in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from afx.api.process import ProcessIdentity, identify, send_signal
from afx.testing.tower_process import TowerProcess


def needs(program: str) -> None:
    """Skip where a program is not installed, except where CI says that it has to be."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")


def needs_tmux() -> None:
    """Skip where there is no tmux, except where CI says that there has to be one."""
    needs("tmux")


class Tmux:
    """The server that a Tower of tests reaches without any setting, in a directory of its own."""

    def __init__(self, tower: TowerProcess) -> None:
        self.env = {name: value for name, value in tower.env.items() if name != "TMUX"}

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a tmux command and return what it prints."""
        done = subprocess.run(
            ["tmux", *arguments], env=self.env, check=check, capture_output=True, text=True, timeout=20
        )
        return done.stdout.strip()

    @property
    def is_running(self) -> bool:
        """Whether there is a server."""
        return self.run("list-sessions", check=False) != ""

    @property
    def server(self) -> ProcessIdentity:
        """Who the server is."""
        found = identify(int(self.run("display-message", "-p", "#{pid}")))
        assert found is not None
        return found

    def session_of(self, terminal_id: str) -> str:
        """Return the id of a terminal's session."""
        lines = self.run("list-panes", "-a", "-F", "#{session_id} #{@afx_terminal}").splitlines()
        return {terminal: session for session, _, terminal in (line.partition(" ") for line in lines)}[
            terminal_id
        ]

    def signal(self, server: ProcessIdentity, number: signal.Signals) -> None:
        """Send the server a signal."""
        assert send_signal(server, number)
