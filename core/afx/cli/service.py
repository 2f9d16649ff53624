"""Commands that have the Tower started at login."""

from __future__ import annotations

import click

from .commands import Command, LazyGroup
from .managers import manager_here
from .output import json_option, print_json


@click.group(cls=LazyGroup, example="afx service install\nafx service status\n")
def service() -> None:
    """Have the Tower started at login.

    So agents are found again after a reboot, and with recover.at_boot = "auto" brought back.
    """


@service.command("install", cls=Command, example="afx service install\n")
@json_option
def install(*, as_json: bool) -> None:
    """Start the Tower now and at every login. One that runs is replaced; its terminals live on."""
    manager = manager_here()
    manager.install()
    notes = manager.notes()
    if _asks():
        notes.append(
            'Lost agents wait for `afx workspace recover --apply`; with recover.at_boot = "auto" they come '
            "back by themselves."
        )
    if as_json:
        print_json({"installed": True, "file": str(manager.file), "notes": notes})
        return
    click.echo(f"The Tower is started at login, by {manager.file}")
    for note in notes:
        click.echo(note)


@service.command("uninstall", cls=Command, example="afx service uninstall\n")
@json_option
def uninstall(*, as_json: bool) -> None:
    """Stop the Tower, and no longer start it at login. Terminals live on."""
    manager = manager_here()
    removed = manager.uninstall()
    if as_json:
        print_json({"removed": removed, "file": str(manager.file)})
    else:
        click.echo("The Tower is no longer a service." if removed else "The Tower is not a service.")


@service.command("status", cls=Command, example="afx service status\n")
@json_option
def status(*, as_json: bool) -> None:
    """Say whether the Tower is a service, whether it runs as one, and what should be known."""
    manager = manager_here()
    installed = manager.file.exists()
    facts = {
        "installed": installed,
        "active": installed and manager.is_active(),
        "current": installed and manager.is_current(),
        "file": str(manager.file),
        "notes": manager.notes() if installed else [],
    }
    if as_json:
        print_json(facts)
        return
    if not installed:
        click.echo("The Tower is not a service. `afx service install` makes it one.")
        return
    click.echo(f"{manager.file}: {'active' if facts['active'] else 'not active'}")
    if not facts["current"]:
        click.echo("It is not what `afx service install` would write now; running that renews it.")
    for note in manager.notes():
        click.echo(note)


def _asks() -> bool:
    from afx.settings import Settings

    return Settings.load(None)["recover.at_boot"] == "ask"
