from __future__ import annotations

import sys
from pathlib import Path

import pytest

from afx.cli.browser import has_browser, show
from afx.client.http import TowerClient
from cli.stub import StubTower

DESK = {"DISPLAY": ":0"}


@pytest.mark.parametrize(
    ("env", "platform", "person", "there"),
    [
        (DESK, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "darwin", True, True),
        ({}, "linux", True, False),
        ({"BROWSER": "firefox"}, "linux", True, True),
        ({"BROWSER": ""}, "linux", True, False),
        # Over ssh the display may be another machine's; the person's own word counts all the same.
        ({**DESK, "SSH_CONNECTION": "1"}, "linux", True, False),
        ({"SSH_CONNECTION": "1"}, "darwin", True, False),
        ({"SSH_CONNECTION": "1", "BROWSER": "code-browser"}, "linux", True, True),
        # Nobody is there to look.
        (DESK, "linux", False, False),
        ({**DESK, "CI": "true"}, "linux", True, False),
        ({"BROWSER": "firefox", "CI": "true"}, "linux", True, False),
        ({"BROWSER": "firefox"}, "linux", False, False),
    ],
)
def test_a_browser_is_opened_where_a_person_sees_it(
    env: dict[str, str], platform: str, *, person: bool, there: bool
) -> None:
    assert has_browser(env, platform, person=person) is there


def test_the_persons_own_browser_is_given_the_address_with_a_code(
    tower: StubTower, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    program = tmp_path / "my-browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {given}\n')
    program.chmod(0o700)
    # webbrowser reads BROWSER when it is first used.
    monkeypatch.delitem(sys.modules, "webbrowser", raising=False)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    tower.answers["POST", "/api/login-codes"] = (200, {"code": "one-time", "expires_in": 120.0})

    show(TowerClient.connect(home))

    assert given.read_text() == f"{tower.url}/#code=one-time"
