"""The person's browser: whether there is one to open, and the page opened in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from afx.client.http import TowerClient


def has_browser(env: Mapping[str, str], platform: str, *, person: bool) -> bool:
    """Tell whether a browser can be opened that a person sees.

    Args:
        env: The environment. ``BROWSER`` is the person's own word, wherever they are.
        platform: As in ``sys.platform``.
        person: Whether a person sits at the terminal.
    """
    if not person or env.get("CI"):
        return False
    if env.get("BROWSER"):
        return True
    if env.get("SSH_CONNECTION"):
        return False
    return platform == "darwin" or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def is_there() -> bool:
    """Tell whether this process can open a browser."""
    return has_browser(os.environ, sys.platform, person=sys.stdout.isatty())


def show(tower: TowerClient) -> None:
    """Open the Tower's page, signed in; where that fails, print the address."""
    import webbrowser

    address = address_of(tower)
    if not webbrowser.open(address):
        click.echo(address)


def address_of(tower: TowerClient) -> str:
    """Return the page's address with a code in it that lets one browser in."""
    # The code stands in the fragment, which no browser sends anywhere.
    return f"{tower.address.url}/#code={tower.post('/api/login-codes')['code']}"
