"""The command that shows the settings that hold here."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from .commands import Command
from .output import json_option, print_json, print_table


def _complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from afx.settings import SETTINGS

    return [
        CompletionItem(name, help=setting.meaning)
        for name, setting in SETTINGS.items()
        if name.startswith(begun)
    ]


@click.command(cls=Command, example="afx config\nafx config tower.port\n")
@click.argument("name", required=False, shell_complete=_complete)
@json_option
def config(*, name: str | None, as_json: bool) -> None:
    """Show each setting that holds here and where it comes from, or the value of one."""
    from afx.settings import SETTINGS, Settings, known_setting

    from .repository import workspace_here_or_none

    if name is not None:
        known_setting(name)
    settings = Settings.load(workspace_here_or_none())

    def facts(of: str) -> dict[str, Any]:
        setting = SETTINGS[of]
        return {
            "value": settings[of],
            "origin": settings.origin(of),
            "default": setting.default,
            "variable": setting.env,
            "meaning": setting.meaning,
        }

    if as_json:
        print_json({of: facts(of) for of in SETTINGS} if name is None else facts(name))
    elif name is not None:
        click.echo(_shown(settings[name]))
    else:
        print_table([[of, _shown(settings[of]), settings.origin(of)] for of in SETTINGS])


def _shown(value: object) -> str:
    """Return a value as it is written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)
