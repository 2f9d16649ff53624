"""Finds installed plugins, and checks and registers each on its own; the only module that calls pluggy.

Every entry point of group ``afx`` gets a plugin manager of its own, so that whatever one plugin does wrong
stays with it and nothing is half registered. What becomes of the plugins is `afx.loader`'s to decide.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
import pluggy

from . import deprecation
from .api.hookspecs import (
    AfxSpecs,
    CheckEntry,
    Entry,
    HarnessEntry,
    StorageEntry,
    StrategyEntry,
    TerminalEvent,
)
from .quarantine import normal
from .sections import is_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "afx"

EntryKind: TypeAlias = Literal["harness", "strategy", "storage", "check"]
Result = TypeVar("Result")

PATIENCE = 5.0
"""How many seconds a plugin's own code may take where the Tower waits for it."""

_log = logging.getLogger("afx.plugins")
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_ENTRY_HOOKS: tuple[tuple[EntryKind, str, type[Entry]], ...] = (
    ("harness", "afx_harnesses", HarnessEntry),
    ("strategy", "afx_reconnect_strategies", StrategyEntry),
    ("storage", "afx_storages", StorageEntry),
    ("check", "afx_doctor_checks", CheckEntry),
)


class DefectError(Exception):
    """A plugin breaks a rule of afx; the text is the sentence about it."""


class Origin(NamedTuple):
    """Where a plugin comes from.

    Attributes:
        entry_point: The name of its entry point.
        distribution: The distribution it is installed with; empty where that is not known.
        version: The version of that distribution.
    """

    entry_point: str
    distribution: str
    version: str

    def __str__(self) -> str:
        if not self.distribution:
            return f"the entry point {self.entry_point!r}"
        return f"{self.distribution} {self.version}".strip()


class Progress:
    """What a plugin is asked for just now, in words: its import, or one of its hooks."""

    def __init__(self) -> None:
        self.now = "Its import"

    def __str__(self) -> str:
        return self.now


class Registered:
    """A plugin that was imported and keeps the rules.

    Attributes:
        summary: The first line of its docstring.
        entries: What it brings, with kinds.
        warnings: What it uses that is to go.
    """

    def __init__(self, origin: Origin, entry_point: EntryPoint, progress: Progress) -> None:
        """Import the plugin and ask what it brings.

        Raises:
            DefectError: It breaks a rule, or one of its hooks raises something.
            Exception: Whatever its import raises; a plugin may also raise SystemExit.
        """
        plugin = entry_point.load()
        if inspect.isclass(plugin):
            plugin = plugin()
        self.origin = origin
        self.summary = next(iter((inspect.getdoc(plugin) or "").splitlines()), "")
        self._manager = _manager_of(plugin, origin)
        self.entries = tuple(_entries(self._manager, progress))
        self.warnings = tuple(deprecation.of_hooks(_hooks(self._manager)))

    @property
    def observes(self) -> bool:
        """Whether it has an observer."""
        return bool(self._manager.hook.afx_terminal_event.get_hookimpls())

    def tell(self, event: TerminalEvent) -> None:
        """Call the plugin's observer, where it has one.

        Raises:
            Exception: Whatever the observer raises.
        """
        for result in self._manager.hook.afx_terminal_event(event=event):
            _refuse_awaitable("afx_terminal_event", result)


def bounded(what: object, work: Callable[[], Result], seconds: float | None = None) -> Result:
    """Do a plugin's work and return its result, for so long and no longer.

    It is done in a thread, since nothing else can be left alone when it hangs; such a thread is abandoned.
    Where none can be started it is done here, however long it takes.

    Args:
        what: The work in words, such as "Its import", or a `Progress` that says them when it is given up.
        work: The work.
        seconds: How long it may take; None for `PATIENCE`.

    Raises:
        DefectError: It took longer, or raised what only a process is ended by, such as KeyboardInterrupt.
        Exception: Whatever the work raises; SystemExit, too.
    """
    patience = PATIENCE if seconds is None else seconds
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def do() -> None:
        try:
            answers.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
            answers.put((False, error))

    try:
        threading.Thread(target=do, name="plugin", daemon=True).start()
    except RuntimeError:
        # The system has no thread left, which is no plugin's fault.
        return work()
    try:
        is_done, answer = answers.get(timeout=patience)
    except queue.Empty:
        raise DefectError(f"{what} took longer than {patience:g} s and was given up.") from None
    if not is_done:
        if not isinstance(answer, (Exception, SystemExit)):
            # Not the person's own: Ctrl-C reaches the main thread only.
            raise DefectError(f"{what} raised {sentence(answer)}") from answer
        raise answer
    result: Result = answer
    return result


def installed() -> tuple[list[EntryPoint], list[tuple[Origin, str]]]:
    """Return what is installed, and each distribution with plugins whose entry points are unreadable."""
    import importlib.metadata

    try:
        return list(importlib.metadata.entry_points(group=GROUP)), []
    except Exception:  # noqa: BLE001 - one unreadable distribution, whosever it is, fails the call for all
        _log.warning("The installed entry points cannot be read at once; each distribution is asked.")
    found: list[EntryPoint] = []
    unreadable: list[tuple[Origin, str]] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        name = ""
        try:
            name = distribution.name
            # The first of a name on the path is the one that is imported; it hides later ones.
            if normal(name) in seen:
                continue
            seen.add(normal(name))
            found.extend(distribution.entry_points.select(group=GROUP))
        except Exception as error:  # noqa: BLE001 - as above
            if f"[{GROUP}]" in (distribution.read_text("entry_points.txt") or ""):
                unreadable.append((Origin(name, name, ""), sentence(error)))
    return found, unreadable


def import_class(entry: Entry, base: type[Any], *, any_name: bool = False) -> type[Any]:
    """Import the class behind an entry.

    Args:
        entry: What a plugin said about it.
        base: What it must be a subclass of.
        any_name: Whether it may call itself otherwise than its entry does.

    Raises:
        DefectError: It is not what its entry says.
        Exception: Whatever its import raises.
    """
    module, _, path = entry.factory.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not inspect.isclass(found) or not issubclass(found, base):
        raise DefectError(f"{entry.factory} is no subclass of {base.__name__}.")
    # Records in storage carry the class's name and are looked up by the entry's.
    name = getattr(found, "name", None)
    if name != entry.name and not any_name:
        raise DefectError(f"The class behind {entry.name!r} calls itself {name!r}.")
    return found


def origin_of(entry_point: EntryPoint) -> Origin:
    """Return where an entry point comes from, as far as its metadata can be read."""
    distribution, version = "", ""
    try:
        if entry_point.dist is not None:
            distribution, version = entry_point.dist.name or "", entry_point.dist.version or ""
    except Exception:  # noqa: BLE001 - unreadable metadata costs neither this plugin nor any other
        _log.warning("The metadata of the plugin %s cannot be read.", entry_point.name)
    return Origin(entry_point.name, distribution, version)


def sentence(error: BaseException) -> str:
    """Return one line about what a plugin raised."""
    text = " ".join(str(error).split())
    if isinstance(error, (DefectError, pluggy.PluginValidationError)):
        return text
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}."


def _manager_of(plugin: object, origin: Origin) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(AfxSpecs)
    manager.register(plugin, origin.entry_point)
    manager.check_pending()
    for caller in manager.get_hookcallers(plugin) or ():
        for implementation in caller.get_hookimpls():
            function = inspect.unwrap(implementation.function)
            if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                raise DefectError(f"Its hook {caller.name} is asynchronous; hooks are plain functions.")
            if implementation.wrapper or implementation.hookwrapper:
                raise DefectError(f"Its hook {caller.name} is a wrapper; afx has no use for those.")
    return manager


def _hooks(manager: pluggy.PluginManager) -> dict[str, tuple[str, ...]]:
    """Return the hooks that are implemented, each with the arguments that are asked for."""
    return {
        implementation.function.__name__: tuple(implementation.argnames)
        for plugin in manager.get_plugins()
        for caller in manager.get_hookcallers(plugin) or ()
        for implementation in caller.get_hookimpls()
    }


def _entries(manager: pluggy.PluginManager, progress: Progress) -> Iterator[tuple[EntryKind, Entry]]:
    names: set[tuple[EntryKind, str]] = set()
    for kind, hook, entry_type in _ENTRY_HOOKS:
        progress.now = f"Its hook {hook}"
        for found in _gathered(manager, hook):
            entry = _checked(found, hook, entry_type)
            if (kind, entry.name) in names:
                raise DefectError(f"It brings the {kind} {entry.name!r} twice.")
            names.add((kind, entry.name))
            yield kind, entry


def _gathered(manager: pluggy.PluginManager, hook: str) -> list[object]:
    """Return what the plugin's implementation of a hook gives; nothing where it has none."""
    gathered: list[object] = []
    try:
        for result in getattr(manager.hook, hook)():
            gathered.extend(_listed(hook, result))
    except DefectError:
        raise
    except (Exception, SystemExit) as error:
        raise DefectError(f"Its hook {hook} raised {sentence(error).rstrip('.')}.") from error
    return gathered


def _listed(hook: str, result: object) -> Iterable[object]:
    _refuse_awaitable(hook, result)
    if not isinstance(result, Iterable):
        raise DefectError(f"Its hook {hook} returned {result!r}, which is no list of entries.")
    return result


def _checked(found: object, hook: str, entry_type: type[Entry]) -> Entry:
    if not isinstance(found, entry_type):
        raise DefectError(f"Its hook {hook} gave {found!r}, which is no {entry_type.__name__}.")
    try:
        # Structs do not check their fields when they are made.
        entry = msgspec.convert(msgspec.to_builtins(found), entry_type)
    except (msgspec.ValidationError, TypeError) as error:
        raise DefectError(f"Its hook {hook} gave a malformed {entry_type.__name__}: {error}.") from error
    if not is_name(entry.name):
        raise DefectError(
            f"Its hook {hook} gave the name {entry.name!r}; a name has lower-case letters, digits and dashes."
        )
    if not _FACTORY.fullmatch(entry.factory):
        raise DefectError(
            f"The factory of {entry.name!r} is {entry.factory!r}; it has the form 'package.module:Class'."
        )
    return entry


def _refuse_awaitable(hook: str, result: object) -> None:
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise DefectError(f"Its hook {hook} is asynchronous; hooks are plain functions.")
