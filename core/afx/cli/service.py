"""Commands that have the Tower started at login: by systemd's user manager, or by launchd."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import click

from afx.api.errors import AfxError, BadInputError, NotFoundError
from afx.settings import SETTINGS, state_directory

from . import launcher
from .commands import Command, LazyGroup
from .output import json_option, print_json
from .process import COMMAND
from .units import Service, launchd_agent, systemd_unit

_PATIENCE = 60.0
_LINGER = (
    "You do not linger: with your last login session your services end, and agents with them where the "
    "machine kills what a logout leaves. `loginctl enable-linger` has them stay, and start at boot."
)
_KEPT = (
    *("PATH", "LANG", "SHELL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "AFX_CONFIG", "AFX_HOST_ID"),
    *(setting.env for setting in SETTINGS.values()),
)


class Manager(ABC):
    """A service manager, as far as a Tower needs it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    @abstractmethod
    def file(self) -> Path:
        """The file that tells it of the Tower."""

    @abstractmethod
    def content(self) -> bytes:
        """Return what that file says."""

    @abstractmethod
    def enable(self) -> None:
        """Read the file again, start the Tower, and start it at every login."""

    @abstractmethod
    def disable(self) -> None:
        """Stop the Tower and start it at no login any more."""

    @abstractmethod
    def is_active(self) -> bool:
        """Tell whether it runs the Tower now."""

    def notes(self) -> list[str]:
        """Return what a person should know."""
        return []

    def install(self) -> None:
        """Write the file and enable it. A Tower that runs already is replaced; its terminals live on."""
        content = self.content()
        launcher.make_home(self.home)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new = self.file.with_name(f"{self.file.name}.new")
            new.write_bytes(content)
            new.replace(self.file)
        except OSError as error:
            raise AfxError(f"{self.file} cannot be written: {error.strerror}.") from None
        if not self.is_active():
            launcher.stop(self.home)
        self.enable()

    def uninstall(self) -> bool:
        """Disable it and remove the file; tell whether there was any."""
        if not self.file.exists():
            return False
        self.disable()
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise AfxError(f"{self.file} cannot be removed: {error.strerror}.") from None
        return True

    def is_current(self) -> bool:
        """Tell whether the file says what it would say if it were written now."""
        try:
            return self.file.read_bytes() == self.content()
        except OSError as error:
            raise AfxError(f"{self.file} cannot be read: {error.strerror}.") from None

    def _service(self, name: str) -> Service:
        env = {variable: os.environ[variable] for variable in _KEPT if os.environ.get(variable)}
        env["AFX_HOME"] = str(self.home)
        return Service(name, COMMAND, env, str(self.home / "tower-start.log"))

    def _suffix(self) -> str:
        """Return what tells the services of several state directories apart; empty for the usual one."""
        usual = state_directory({name: value for name, value in os.environ.items() if name != "AFX_HOME"})
        return "" if self.home == usual else f"-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:8]}"


class Systemd(Manager):
    """The user manager of systemd."""

    @property
    def file(self) -> Path:
        """The unit."""
        given = os.environ.get("XDG_CONFIG_HOME", "")
        base = Path(given) if given.startswith("/") else Path.home() / ".config"
        return base / f"systemd/user/afx{self._suffix()}.service"

    def content(self) -> bytes:
        """Return the text of the unit."""
        try:
            return systemd_unit(self._service(self.file.stem)).encode()
        except ValueError as error:
            raise BadInputError(f"{error.args[0]!r} cannot stand in a unit file.") from None

    def enable(self) -> None:
        """Start the unit now and at every login."""
        _run("systemctl", "--user", "daemon-reload")
        _run("systemctl", "--user", "enable", self.file.name)
        _run("systemctl", "--user", "restart", self.file.name)

    def disable(self) -> None:
        """Stop the unit, and forget it."""
        _run("systemctl", "--user", "disable", "--now", self.file.name)
        _run("systemctl", "--user", "daemon-reload")

    def is_active(self) -> bool:
        """Ask systemd."""
        return _said("systemctl", "--user", "is-active", self.file.name) == "active"

    def notes(self) -> list[str]:
        """Explain linger to who does not."""
        lingers = _said("loginctl", "show-user", str(os.geteuid()), "--property=Linger", "--value")
        return [] if lingers == "yes" else [_LINGER]


class Launchd(Manager):
    """The launchd of a macOS login session."""

    @property
    def file(self) -> Path:
        """The agent's property list."""
        return Path.home() / f"Library/LaunchAgents/dev.afx.tower{self._suffix()}.plist"

    def content(self) -> bytes:
        """Return the property list."""
        return launchd_agent(self._service(self.file.stem))

    def enable(self) -> None:
        """Load the agent, which starts it."""
        if self.is_active():
            _run("launchctl", "bootout", f"{self._domain()}/{self.file.stem}")
        _run("launchctl", "bootstrap", self._domain(), str(self.file))

    def disable(self) -> None:
        """Unload the agent, which stops it."""
        if self.is_active():
            _run("launchctl", "bootout", f"{self._domain()}/{self.file.stem}")

    def is_active(self) -> bool:
        """Ask launchd."""
        return _said("launchctl", "print", f"{self._domain()}/{self.file.stem}") is not None

    def _domain(self) -> str:
        return f"gui/{os.geteuid()}"


@click.group(cls=LazyGroup, example="afx service install\nafx service status\n")
def service() -> None:
    """Have the Tower started at login.

    So agents are found again after a reboot, and with recover.at_boot = "auto" brought back.
    """


@service.command("install", cls=Command, example="afx service install\n")
@json_option
def install(*, as_json: bool) -> None:
    """Start the Tower now and at every login. One that runs is replaced; its terminals live on."""
    manager = _manager()
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
    """Stop the Tower and start it at no login any more. Terminals live on."""
    manager = _manager()
    removed = manager.uninstall()
    if as_json:
        print_json({"removed": removed, "file": str(manager.file)})
    else:
        click.echo("The Tower is no service any more." if removed else "The Tower is no service.")


@service.command("status", cls=Command, example="afx service status\n")
@json_option
def status(*, as_json: bool) -> None:
    """Say whether the Tower is a service, whether it runs as one, and what should be known."""
    manager = _manager()
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
        click.echo("The Tower is no service. `afx service install` makes it one.")
        return
    click.echo(f"{manager.file}: {'active' if facts['active'] else 'not active'}")
    if not facts["current"]:
        click.echo("It is not what `afx service install` would write now; running that renews it.")
    for note in manager.notes():
        click.echo(note)


def _manager() -> Manager:
    home = state_directory()
    if sys.platform == "darwin":
        return Launchd(home)
    if _said("systemctl", "--user", "show-environment") is None:
        raise NotFoundError(
            "No service manager that afx knows runs here: neither systemd's user manager nor launchd.",
            hint="Have `afx tower start` run at login or boot by other means, such as cron's @reboot.",
        )
    return Systemd(home)


def _asks() -> bool:
    from afx.settings import Settings

    return Settings.load(None)["recover.at_boot"] == "ask"


def _said(*command: str) -> str | None:
    """Return what a program prints; None where it is missing or fails without a word."""
    done = _done(command)
    if done is None:
        return None
    text = done.stdout.decode("utf-8", "replace").strip()
    return text if done.returncode == 0 or text else None


def _run(*command: str) -> None:
    done = _done(command)
    if done is None:
        raise AfxError(f"{command[0]} cannot be run, or does not end.")
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split()) or f"status {done.returncode}"
        raise AfxError(f"`{' '.join(command)}` failed: {said}", hint="`afx doctor` may say more.")


def _done(command: Sequence[str]) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
