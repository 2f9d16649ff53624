"""What plugins bring, behind typed methods: the facade over the hooks that the rest of afx uses.

A plugin, or one thing that it brings, is active, blocked, incompatible or broken, and none of them stops
the others. Classes are imported when they are first asked for; how plugins are found and registered is
`afx.discovery`'s.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from . import deprecation
from .api.doctor import DoctorCheck
from .api.errors import AfxError, BadInputError, PluginError
from .api.harness import HarnessContext, HarnessProvider
from .api.hookspecs import HarnessEntry, TerminalEvent
from .api.storage import Storage, StorageContext
from .api.strategy import ReconnectStrategy, StrategyContext
from .claims import Claim, declares, settle
from .discovery import (
    DefectError,
    EntryKind,
    Origin,
    Progress,
    Registered,
    bounded,
    import_class,
    installed,
    origin_of,
    sentence,
)
from .quarantine import KINDS, PluginInfo, PluginState, Switches, earlier, remember, switch_hint
from .sections import NoSections, Sections
from .trial import Marks

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OBSERVER_PATIENCE = 30.0
"""How many seconds an observer may take for one event."""

_log = logging.getLogger("afx.plugins")


class Factory(NamedTuple):
    """What makes one thing that a plugin brings.

    Attributes:
        path: Its class, as ``"package.module:Class"``.
    """

    kind: EntryKind
    name: str
    distribution: str
    path: str


class Plugins:
    """Everything that plugins bring. Made by `Plugins.load`.

    `emit` may be called from any thread; everything else belongs to one thread.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        whole: Sequence[PluginInfo],
        registered: Sequence[Registered],
        settings: Sections,
    ) -> None:
        self._claims = claims
        self._whole = whole
        self._registered = registered
        self._settings = settings
        self._harnesses: dict[tuple[str, str], HarnessProvider] = {}
        self._hung: dict[Origin, PluginInfo] = {}
        self._raised: set[Origin] = set()
        self._past: Mapping[str, float] = {}

    @classmethod
    def load(
        cls,
        disabled: Iterable[str] = (),
        entry_points: Iterable[EntryPoint] | None = None,
        settings: Sections | None = None,
        marks: Path | None = None,
    ) -> Plugins:
        """Load every installed plugin. Nothing that a plugin does wrong is raised; it stands in `rows`.

        Args:
            disabled: Names to switch off beside those in ``AFX_DISABLED_PLUGINS``: of an entry point, of
                something that a plugin brings, or of a distribution.
            entry_points: What to load instead of what is installed.
            settings: The person's own settings; those of a workspace are given where a harness is asked for.
            marks: A directory for marks of what is being loaded, by which a plugin that ends its process is
                known the next time; None for none.
        """
        switches = Switches.of(os.environ, disabled)
        whole: list[PluginInfo] = []
        if entry_points is None:
            entry_points, unreadable = installed()
            whole.extend(_whole(origin, PluginState.BROKEN, error) for origin, error in unreadable)
        trials = Marks(marks)
        claims: list[Claim] = []
        registered: list[Registered] = []
        found = [(origin_of(entry_point), entry_point) for entry_point in entry_points]
        for origin, entry_point in sorted(found, key=lambda pair: pair[0]):
            switched_off = switches.reason(origin.entry_point, origin.distribution)
            if switched_off is not None:
                whole.append(_whole(origin, PluginState.BLOCKED, switched_off))
                continue
            try:
                progress = Progress()
                load = partial(bounded, progress, partial(Registered, origin, entry_point, progress))
                plugin = trials.load(entry_point, load)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
                whole.append(_whole(origin, PluginState.BROKEN, sentence(error)))
                continue
            registered.append(plugin)
            mine = [Claim(kind, entry, origin) for kind, entry in plugin.entries]
            claims.extend(mine)
            if not plugin.entries:
                whole.append(_whole(origin, PluginState.ACTIVE, "", plugin.summary, plugin.warnings))
            for claim in mine[:1]:
                claim.warnings = plugin.warnings
            _warn(origin, plugin.warnings)
        settle(claims, switches)
        return cls(claims, whole, registered, settings or NoSections())

    def rows(self) -> list[PluginInfo]:
        """Return one line for everything that plugins bring and for each that was not loaded.

        Sorted by kind, name and distribution. Of what plugins bring, nothing is imported for it; harnesses
        that the person's own settings declare are made, to see whether they can be.
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
                hint=claim.hint,
                since=claim.since,
                warnings=claim.warnings,
            )
            for claim in self._claims
        ]
        hung = {(row.name, row.distribution) for row in self._hung.values()}
        whole = [row for row in self._whole if (row.name, row.distribution) not in hung]
        rows += [*whole, *self._hung.values(), *map(self._declared_row, self._declared(self._settings))]
        return sorted(
            earlier(rows, self._past),
            key=lambda row: (KINDS.index(row.kind), row.name, row.distribution, row.error),
        )

    def remember(self, path: Path) -> None:
        """Keep in a file since when each thing has been unusable, and take over what it says of those before.

        A file that cannot be read or written is no error: then they are unusable since now.
        """
        self._past = remember(path, self.rows())

    def factories(self) -> list[Factory]:
        """Return the class behind everything that can be made without settings."""
        return [
            Factory(claim.kind, claim.entry.name, claim.origin.distribution, claim.entry.factory)
            for claim in self._claims
            if claim.state is PluginState.ACTIVE and not declares(claim.entry)
        ]

    def harness_names(self, settings: Sections | None = None) -> list[str]:
        """Return the name of every harness that can be asked for. Nothing is imported for it."""
        installed = {entry.name for entry in self.harness_entries()}
        return sorted({*installed, *self._declared(settings or self._settings)})

    def harness_entries(self) -> list[HarnessEntry]:
        """Return the entry of every harness that a plugin brings, by name. Nothing is imported for it."""
        entries = [claim.entry for claim in self._active("harness") if isinstance(claim.entry, HarnessEntry)]
        return sorted((entry for entry in entries if not entry.declares), key=lambda entry: entry.name)

    def harness(self, name: str, settings: Sections | None = None) -> HarnessProvider:
        """Return the harness of this name. It is imported and made when it is first asked for.

        Args:
            name: Its name.
            settings: The settings of the workspace it is for; None for the person's own.

        Raises:
            PluginError: It is unknown, switched off, incompatible, broken, or claimed by two plugins.
            BadInputError: Its settings cannot be used.
        """
        settings = settings or self._settings
        section = settings.section(f"harness.{name}")
        key = (name, repr(section))
        if key not in self._harnesses:
            declared = self._declared(settings)
            claim = self._declarer(name) if name in declared else self._claim("harness", name, declared)
            context = HarnessContext(name=name, settings=section, place=settings.place)
            made: HarnessProvider = _make(claim, HarnessProvider, context)
            if made.name != name:
                claim.end(PluginState.BROKEN, f"The class behind {name!r} calls itself {made.name!r}.")
                raise claim.refusal()
            self._harnesses[key] = made
        return self._harnesses[key]

    def harnesses(self, settings: Sections | None = None) -> list[HarnessProvider]:
        """Return every harness that can be made, by name. One that cannot turns up as broken in `rows`."""
        made = []
        for name in self.harness_names(settings):
            try:
                made.append(self.harness(name, settings))
            except AfxError as error:
                _log.warning("%s", error)
        return made

    def _declared(self, settings: Sections) -> list[str]:
        """Return the names of sections ``[harness.NAME]`` that are harnesses by themselves."""
        claimed = {
            claim.entry.name
            for claim in self._claims
            if claim.kind == "harness" and not declares(claim.entry)
        }
        return [name for name in settings.section("harness") if name not in claimed]

    def _declarer(self, name: str) -> Claim:
        for claim in self._claims:
            if isinstance(claim.entry, HarnessEntry) and claim.entry.declares:
                if claim.state is not PluginState.ACTIVE:
                    raise claim.refusal()
                return claim
        raise PluginError(f"No plugin is installed that makes a harness of the section [harness.{name}].")

    def _declared_row(self, name: str) -> PluginInfo:
        place = self._settings.place("harness", name)
        try:
            self.harness(name)
        except AfxError as error:
            state, message, hint = PluginState.BROKEN, error.message, error.hint
        else:
            state, message, hint = PluginState.ACTIVE, "", ""
        return PluginInfo(
            kind="harness",
            name=name,
            summary=f"Declared in {place}.",
            distribution="",
            version="",
            state=state,
            error=message,
            hint=hint,
        )

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
        """Tell every observer of an event.

        What one of them raises is logged, and the first of it becomes a warning in `rows`. One that takes
        longer than `OBSERVER_PATIENCE` is broken from then on, and told nothing more. Neither stops another.
        """
        for plugin in self._registered:
            if not plugin.observes or plugin.origin in self._hung:
                continue
            try:
                bounded("Its observer", partial(plugin.tell, event), OBSERVER_PATIENCE)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is the observer's own
                name, origin = plugin.origin.entry_point, plugin.origin
                if isinstance(error, DefectError):
                    self._hung[origin] = _whole(origin, PluginState.BROKEN, sentence(error), plugin.summary)
                elif origin not in self._raised:
                    self._raised.add(origin)
                    said = sentence(error).rstrip(".")
                    self._warn_of(origin, f"At an event it raised {said}; the Tower's log tells each time.")
                _log.error("The plugin %s of %s failed at an event.", name, origin, exc_info=error)

    def _warn_of(self, origin: Origin, warning: str) -> None:
        """Add a warning to the first row of a plugin."""
        for claim in self._claims:
            if claim.origin == origin:
                claim.warnings += (warning,)
                return
        mine = (origin.entry_point, origin.distribution)
        self._whole = [
            msgspec.structs.replace(row, warnings=(*row.warnings, warning))
            if (row.name, row.distribution) == mine
            else row
            for row in self._whole
        ]

    def _active(self, kind: EntryKind) -> list[Claim]:
        return [claim for claim in self._claims if claim.kind == kind and claim.state is PluginState.ACTIVE]

    def _claim(self, kind: EntryKind, name: str, declared: Sequence[str] = ()) -> Claim:
        claims = [
            claim
            for claim in self._claims
            if (claim.kind, claim.entry.name) == (kind, name) and not declares(claim.entry)
        ]
        if not claims:
            names = [claim.entry.name for claim in self._active(kind) if not declares(claim.entry)]
            known = ", ".join(sorted([*names, *declared]))
            for row in self._whole:
                # What it would bring is not known, but plugins are mostly named like it.
                if row.name == name and row.state is not PluginState.ACTIVE:
                    raise PluginError(
                        f"There is no {kind} {name!r}; the plugin {name!r} is {row.state}: {row.error}",
                        hint=row.hint,
                    )
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


def _make(claim: Claim, base: type[Any], *arguments: object) -> Any:  # noqa: ANN401 - it is what `base` says
    """Import a claim's class and make one of it. What failed once is broken from then on.

    Raises:
        PluginError: It cannot be imported or made, or is not what it says.
    """
    try:
        if claim.factory is None:
            claim.factory = bounded(
                "Its import", partial(import_class, claim.entry, base, any_name=declares(claim.entry))
            )
            warnings = tuple(deprecation.of_class(claim.factory))
            claim.warnings += warnings
            _warn(claim.origin, warnings)
        return claim.factory(*arguments)
    except BadInputError:
        # A mistake in its settings is the person's, and may stand in one workspace only.
        raise
    except AfxError as error:
        claim.end(PluginState.BROKEN, error.message, error.hint)
        raise claim.refusal() from error
    except (Exception, SystemExit) as error:
        claim.end(PluginState.BROKEN, sentence(error))
        raise claim.refusal() from error


def _warn(origin: Origin, warnings: Iterable[str]) -> None:
    for warning in warnings:
        _log.warning("The plugin %s of %s: %s", origin.entry_point, origin, warning)


def _whole(
    origin: Origin, state: PluginState, error: str, summary: str = "", warnings: tuple[str, ...] = ()
) -> PluginInfo:
    return PluginInfo(
        kind="plugin",
        name=origin.entry_point,
        summary=summary,
        distribution=origin.distribution,
        version=origin.version,
        state=state,
        error=error,
        hint="" if state is PluginState.ACTIVE else switch_hint(state, origin.entry_point, error),
        since=None if state is PluginState.ACTIVE else time.time(),
        warnings=warnings,
    )
