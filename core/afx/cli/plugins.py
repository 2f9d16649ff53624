"""The command that lists plugins. It loads them here and now, so it works without a Tower."""

from __future__ import annotations

import click

from .commands import Command
from .output import json_option, print_json, print_table


@click.command(cls=Command, example="afx plugins\nafx plugins --json\n")
@json_option
def plugins(*, as_json: bool) -> None:
    """List what plugins bring, with the state of each and the error of what is broken."""
    import msgspec

    from afx.loader import Plugins
    from afx.settings import Settings

    from .repository import workspace_here_or_none

    rows = Plugins.load(Settings.load(workspace_here_or_none())["plugins.disabled"]).rows()
    if as_json:
        print_json(msgspec.to_builtins(rows))
        return
    table = [
        [row.kind, row.name, row.state, f"{row.distribution} {row.version}".strip(), row.error or row.summary]
        for row in rows
    ]
    if table:
        print_table(table, color_of=2)
    else:
        click.echo("No plugin is installed.")
