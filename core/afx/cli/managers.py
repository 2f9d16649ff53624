"""Service managers that start the Tower at login: systemd's user manager, and launchd."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from afx.api.errors import AfxError, BadInputError, NotFoundError
from afx.settings import SETTINGS, state_directory

from . import launcher
from .process import COMMAND
from .units import Service, launchd_agent, systemd_unit

_PATIENCE = 60.0
_MEND = "Mend what the system says of it, and run the command again."
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
        """Stop the Tower, and no longer start it at login."""

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
            raise AfxError(f"{self.file} cannot be written: {error.strerror}.", hint=_MEND) from None
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
            raise AfxError(f"{self.file} cannot be removed: {error.strerror}.", hint=_MEND) from None
        return True

    def is_current(self) -> bool:
        """Tell whether the file says what it would say if it were written now."""
        try:
            return self.file.read_bytes() == self.content()
        except OSError as error:
            raise AfxError(f"{self.file} cannot be read: {error.strerror}.", hint=_MEND) from None

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
        """Explain what it means to linger, where the person does not."""
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


def manager_here() -> Manager:
    """Return the service manager of this machine.

    Raises:
        NotFoundError: None runs here that afx knows.
    """
    home = state_directory()
    if sys.platform == "darwin":
        return Launchd(home)
    if _said("systemctl", "--user", "show-environment") is None:
        raise NotFoundError(
            "No service manager that afx knows runs here: neither systemd's user manager nor launchd.",
            hint="Have `afx tower start` run at login or boot by other means, such as cron's @reboot.",
        )
    return Systemd(home)


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
        raise AfxError(f"{command[0]} cannot be run, or does not end.", hint="Try it by hand.")
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
