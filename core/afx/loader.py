"""What plugins bring, behind typed methods: the facade over the hooks that the rest of afx uses.

A plugin, or one thing that it brings, is active, blocked, incompatible or broken, and none of them stops
the others. Classes are imported when they are first asked for; how plugins are found and registered is
`afx.discovery`'s.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from .api.doctor import DoctorCheck
from .api.errors import AfxError, PluginError
from .api.harness import HarnessProvider
from .api.hookspecs import API_VERSION, Entry, HarnessEntry, TerminalEvent
from .api.storage import Storage, StorageContext
from .api.strategy import ReconnectStrategy, StrategyContext
from .discovery import DefectError, EntryKind, Origin, Registered, installed, normal, origin_of, sentence

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OLDEST_API_VERSION = 1
"""Entries that were written for an older API than this are incompatible."""

Kind: TypeAlias = EntryKind | Literal["plugin"]

_log = logging.getLogger("afx.plugins")
_KINDS: tuple[Kind, ...] = ("harness", "strategy", "storage", "check", "plugin")
_LIST_HINT = "`afx plugins` lists all plugins and their states."


class PluginState(StrEnum):
    """What became of a plugin, or of one thing that it brings."""

    ACTIVE = "active"
    """It can be used."""
    BLOCKED = "blocked"
    """A person switched it off."""
    INCOMPATIBLE = "incompatible"
    """It was written for another version of the plugin API."""
    BROKEN = "broken"
    """It failed. `PluginInfo.error` says how."""


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of plugins: one thing that a plugin brings, or a plugin as a whole.

    Attributes:
        kind: What it is. ``"plugin"`` stands for a whole plugin: one that only observes, or one of which
            nothing was loaded.
        name: The name it is chosen by, or a whole plugin's entry point.
        distribution: The distribution it is installed with; empty where that is not known.
        version: The version of that distribution.
        error: A sentence about `state`; empty where it is active.
    """

    kind: Kind
    name: str
    summary: str
    distribution: str
    version: str
    state: PluginState
    error: str


class _Claim:
    """One thing that a plugin brings, and what became of it so far."""

    def __init__(self, kind: EntryKind, entry: Entry, origin: Origin) -> None:
        self.kind = kind
        self.entry = entry
        self.origin = origin
        self.state = PluginState.ACTIVE
        self.error = ""
        self.hint = ""
        self.factory: type[Any] | None = None

    def end(self, state: PluginState, error: str, hint: str = _LIST_HINT) -> None:
        """Take it out of use."""
        self.state, self.error, self.hint = state, error, hint

    def refusal(self) -> PluginError:
        """Return the error for whoever asks for it although it cannot be used."""
        return PluginError(
            f"The {self.kind} {self.entry.name!r} of {self.origin} is {self.state}: {self.error}",
            hint=self.hint,
        )


class _Switches(NamedTuple):
    """The names that a person switched off, and where."""

    environment: frozenset[str]
    settings: frozenset[str]

    def reason(self, *names: str) -> str | None:
        """Say where one of `names` is switched off; None where none is."""
        wanted = {normal(name) for name in names if name}
        if wanted & self.environment:
            return "It is switched off by AFX_DISABLED_PLUGINS."
        if wanted & self.settings:
            return "It is switched off in the settings."
        return None


class Plugins:
    """Everything that plugins bring. Made by `Plugins.load`.

    `emit` may be called from any thread; everything else belongs to one thread.
    """

    def __init__(
        self, claims: Sequence[_Claim], whole: Sequence[PluginInfo], registered: Sequence[Registered]
    ) -> None:
        self._claims = claims
        self._whole = whole
        self._registered = registered
        self._harnesses: dict[str, HarnessProvider] = {}

    @classmethod
    def load(cls, disabled: Iterable[str] = (), entry_points: Iterable[EntryPoint] | None = None) -> Plugins:
        """Load every installed plugin. Nothing that a plugin does wrong is raised; it stands in `rows`.

        Args:
            disabled: Names to switch off beside those in ``AFX_DISABLED_PLUGINS``: of an entry point, of
                something that a plugin brings, or of a distribution.
            entry_points: What to load instead of what is installed.
        """
        switches = _Switches(
            environment=_names(os.environ.get("AFX_DISABLED_PLUGINS", "").split(",")),
            settings=_names(disabled),
        )
        whole: list[PluginInfo] = []
        if entry_points is None:
            entry_points, unreadable = installed()
            whole.extend(_whole(origin, PluginState.BROKEN, error) for origin, error in unreadable)
        claims: list[_Claim] = []
        registered: list[Registered] = []
        found = [(origin_of(entry_point), entry_point) for entry_point in entry_points]
        for origin, entry_point in sorted(found, key=lambda pair: pair[0]):
            switched_off = switches.reason(origin.entry_point, origin.distribution)
            if switched_off is not None:
                whole.append(_whole(origin, PluginState.BLOCKED, switched_off))
                continue
            try:
                plugin = Registered(origin, entry_point)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
                whole.append(_whole(origin, PluginState.BROKEN, sentence(error)))
                continue
            registered.append(plugin)
            claims.extend(_Claim(kind, entry, origin) for kind, entry in plugin.entries)
            if not plugin.entries:
                whole.append(_whole(origin, PluginState.ACTIVE, "", plugin.summary))
        _settle(claims, switches)
        return cls(claims, whole, registered)

    def rows(self) -> list[PluginInfo]:
        """Return one line for everything that plugins bring and for each that was not loaded.

        Sorted by kind, name and distribution. Nothing is imported for it.
        """
        rows = [
            PluginInfo(
                kind=claim.kind,
                name=claim.entry.name,
                summary=claim.entry.summary,
                distribution=claim.origin.distribution,
                version=claim.origin.version,
                state=claim.state,
                error=claim.error,
            )
            for claim in self._claims
        ]
        return sorted(
            [*rows, *self._whole],
            key=lambda row: (_KINDS.index(row.kind), row.name, row.distribution, row.error),
        )

    def harness_entries(self) -> list[HarnessEntry]:
        """Return the entry of every harness that can be asked for, by name. Nothing is imported for it."""
        entries = [claim.entry for claim in self._active("harness") if isinstance(claim.entry, HarnessEntry)]
        return sorted(entries, key=lambda entry: entry.name)

    def harness(self, name: str) -> HarnessProvider:
        """Return the harness of this name. It is imported and made when it is first asked for.

        Raises:
            PluginError: It is unknown, switched off, incompatible, broken, or claimed by two plugins.
        """
        if name not in self._harnesses:
            made: HarnessProvider = _make(self._claim("harness", name), HarnessProvider)
            self._harnesses[name] = made
        return self._harnesses[name]

    def harnesses(self) -> list[HarnessProvider]:
        """Return every harness that can be made, by name. One that cannot turns up as broken in `rows`."""
        made = []
        for entry in self.harness_entries():
            try:
                made.append(self.harness(entry.name))
            except PluginError as error:
                _log.warning("%s", error)
        return made

    def strategy(self, name: str, context: StrategyContext) -> ReconnectStrategy:
        """Make the reconnect strategy of this name.

        Raises:
            PluginError: As for `harness`.
        """
        made: ReconnectStrategy = _make(self._claim("strategy", name), ReconnectStrategy, context)
        return made

    def storage(self, name: str, context: StorageContext) -> Storage:
        """Make the storage of this name.

        Raises:
            PluginError: As for `harness`.
        """
        made: Storage = _make(self._claim("storage", name), Storage, context)
        return made

    def doctor_checks(self) -> list[DoctorCheck]:
        """Return every check that can be made, by name. One that cannot turns up as broken in `rows`."""
        made: list[DoctorCheck] = []
        for claim in sorted(self._active("check"), key=lambda claim: claim.entry.name):
            try:
                made.append(_make(claim, DoctorCheck))
            except PluginError as error:
                _log.warning("%s", error)
        return made

    def emit(self, event: TerminalEvent) -> None:
        """Tell every observer of an event. What one of them raises is logged and stops no other."""
        for plugin in self._registered:
            try:
                plugin.tell(event)
            except Exception:  # noqa: BLE001 - whatever it is, it is the observer's own
                _log.exception("The plugin %s of %s failed at an event.", plugin.origin[0], plugin.origin)

    def _active(self, kind: EntryKind) -> list[_Claim]:
        return [claim for claim in self._claims if claim.kind == kind and claim.state is PluginState.ACTIVE]

    def _claim(self, kind: EntryKind, name: str) -> _Claim:
        claims = [claim for claim in self._claims if (claim.kind, claim.entry.name) == (kind, name)]
        if not claims:
            known = ", ".join(sorted(claim.entry.name for claim in self._active(kind)))
            raise PluginError(
                f"There is no {kind} {name!r}.",
                hint=f"Known are: {known}." if known else "None is installed.",
            )
        # What is broken says more about the matter than what somebody switched off.
        order = (PluginState.ACTIVE, PluginState.BROKEN, PluginState.INCOMPATIBLE, PluginState.BLOCKED)
        claim = min(claims, key=lambda claim: order.index(claim.state))
        if claim.state is not PluginState.ACTIVE:
            raise claim.refusal()
        return claim


def _settle(claims: Iterable[_Claim], switches: _Switches) -> None:
    """Decide which claims hold: those of a known API version, not switched off, and alone in their name."""
    by_name: dict[tuple[Kind, str], list[_Claim]] = defaultdict(list)
    for claim in claims:
        version = claim.entry.api_version
        written_for = f"It was written for version {version} of the plugin API; this afx"
        if switched_off := switches.reason(claim.entry.name):
            claim.end(PluginState.BLOCKED, switched_off)
        elif version > API_VERSION:
            claim.end(PluginState.INCOMPATIBLE, f"{written_for} has version {API_VERSION}.", "Upgrade afx.")
        elif version < OLDEST_API_VERSION:
            claim.end(
                PluginState.INCOMPATIBLE,
                f"{written_for} knows none before {OLDEST_API_VERSION}.",
                "Upgrade the plugin.",
            )
        else:
            by_name[claim.kind, claim.entry.name].append(claim)
    for (kind, name), rivals in by_name.items():
        if len(rivals) > 1:
            origins = " and by ".join(str(rival.origin) for rival in rivals)
            for rival in rivals:
                rival.end(
                    PluginState.BROKEN,
                    f"The {kind} {name!r} is claimed by {origins}.",
                    "Uninstall one of them, or name its distribution in AFX_DISABLED_PLUGINS.",
                )


def _make(claim: _Claim, base: type[Any], *arguments: object) -> Any:  # noqa: ANN401 - it is what `base` says
    """Import a claim's class and make one of it. What failed once is broken from then on.

    Raises:
        PluginError: It cannot be imported or made, or is not what it says.
    """
    try:
        if claim.factory is None:
            claim.factory = _import_class(claim.entry, base)
        return claim.factory(*arguments)
    except AfxError as error:
        claim.end(PluginState.BROKEN, error.message, error.hint or _LIST_HINT)
        raise claim.refusal() from error
    except (Exception, SystemExit) as error:
        claim.end(PluginState.BROKEN, sentence(error))
        raise claim.refusal() from error


def _import_class(entry: Entry, base: type[Any]) -> type[Any]:
    module, _, path = entry.factory.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not inspect.isclass(found) or not issubclass(found, base):
        raise DefectError(f"{entry.factory} is no subclass of {base.__name__}.")
    # Records in storage carry the class's name and are looked up by the entry's.
    name = getattr(found, "name", None)
    if name != entry.name:
        raise DefectError(f"The class behind {entry.name!r} calls itself {name!r}.")
    return found


def _whole(origin: Origin, state: PluginState, error: str, summary: str = "") -> PluginInfo:
    return PluginInfo(
        kind="plugin",
        name=origin.entry_point,
        summary=summary,
        distribution=origin.distribution,
        version=origin.version,
        state=state,
        error=error,
    )


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(normal(name) for name in names if name.strip())
