"""The Tower: the one server process of a state directory. Here everything is wired, in the order of its boot.

Nothing is served before `open` yields: plugins are loaded, storage is open and migrated, and every terminal
that survived is connected again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.abc

from afx.api.errors import AfxError
from afx.api.model import AgentId
from afx.api.process import host_id
from afx.api.storage import Storage, StorageContext
from afx.api.strategy import ReconnectStrategy, StrategyContext
from afx.loader import Plugins
from afx.settings import Settings

from .adoption import Adoption
from .agents import Agents, Change
from .attention import Attention
from .capture import Capture
from .conversion import Conversion
from .following import Following
from .harnesses import Harnesses
from .inbox import Inbox
from .inquiry import Inquiry
from .lastscreen import LastScreens
from .lifecycle import Lifecycle
from .listeners import Listeners
from .observers import Observers
from .recovery import Recovery
from .revival import Revival
from .starter import Starter
from .strategies import Strategies
from .supervisor import Supervisor
from .survivors import Survivors
from .terminals import Terminals

log = logging.getLogger("afx.tower")


class Tower:
    """A running Tower.

    Attributes:
        home: Its state directory.
        boot: A word that no other run of a Tower has; versions of the state begin with it.
        started_at: When it was opened.
    """

    def __init__(
        self,
        *,
        home: Path,
        plugins: Plugins,
        agents: Agents,
        strategies: Mapping[str, ReconnectStrategy],
        settings_for: Callable[[Path | None], Settings],
        env: Mapping[str, str],
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        """Wire everything; nothing runs yet."""
        self.home = home
        self.boot = secrets.token_hex(4)
        self.started_at = time.time()
        self.settings = settings_for(None)
        self.plugins = plugins
        self.agents = agents
        self._tasks = tasks
        listeners = Listeners(tasks)
        asked = Strategies(strategies)
        self._following = Following(agents, listeners, tasks)
        self.terminals = Terminals(agents, asked, self._following, listeners)
        self.survivors = Survivors(
            agents=agents,
            strategies=asked,
            terminals=self.terminals,
            following=self._following,
            listeners=listeners,
            tasks=tasks,
        )
        harnesses = Harnesses(plugins, settings_for)
        starter = Starter(
            home=home,
            agents=agents,
            terminals=self.terminals,
            harnesses=harnesses,
            settings_for=settings_for,
            env=env,
        )
        self.inbox = Inbox(agents, self.terminals, harnesses, tasks)
        self.inquiry = Inquiry(agents, self.terminals, starter)
        self.revival = Revival(agents=agents, inquiry=self.inquiry, starter=starter)
        self._supervisor = Supervisor(agents, self.terminals, self.revival, starter)
        self._capture = Capture(home, agents, starter)
        self._attention = Attention(agents, self.terminals, starter, self._capture)
        self.screens = LastScreens(home, agents, self.terminals.connected_of)
        self.lifecycle = Lifecycle(
            agents=agents,
            terminals=self.terminals,
            harnesses=harnesses,
            revival=self.revival,
            starter=starter,
            strategies=strategies,
            settings_for=settings_for,
            env=env,
        )
        self.recovery = Recovery(agents, self.terminals, self.revival, tasks)
        self.adoption = Adoption(agents, self.survivors, self.lifecycle, self.revival)
        self.conversion = Conversion(agents, self.terminals, self.revival, strategies)
        self.observers = Observers(agents, plugins.emit)
        listeners.are(
            running=(self._supervisor.on_running, self.inbox.on_running, self._capture.on_running),
            ended=(self.screens.keep, self._supervisor.on_ended),
            ending=self.screens.keep,
            lost=(self._supervisor.on_lost,),
            enter=(self._supervisor.on_enter,),
        )

    @property
    def version(self) -> str:
        """The version of the state now: ``BOOT:N``."""
        return f"{self.boot}:{self.agents.version}"

    @staticmethod
    async def rehearse(home: Path, settings: Settings) -> None:
        """Find out what is sure to be in the way of `open`. Nothing is changed: a Tower may run there.

        Raises:
            StorageError: The storage cannot be opened.
            PluginError: The storage that the settings name cannot be had.
        """
        await _storage(_plugins(home, settings), home, settings).rehearse()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Path,
        settings_for: Callable[[Path | None], Settings],
        env: Mapping[str, str],
    ) -> AsyncIterator[Tower]:
        """Boot a Tower on a state directory, and let go of all terminals at the end; none of them dies.

        Args:
            home: The state directory, whose lock the caller holds.
            settings_for: Gives the settings of a workspace, or (None) those of no workspace.
            env: The environment that children inherit.

        Raises:
            StorageError: The storage cannot be opened.
            PluginError: The storage that the settings name cannot be had.
        """
        settings = settings_for(None)
        async with AsyncExitStack() as stack:
            plugins = _plugins(home, settings)
            remembered = home / "plugins.json"
            plugins.remember(remembered)
            stack.callback(plugins.remember, remembered)
            storage = _storage(plugins, home, settings)
            await storage.open()
            stack.push_async_callback(storage.aclose)
            strategies = await _start_strategies(plugins, home, settings, stack)
            tower = cls.over(home, plugins, storage, strategies, settings_for, env)
            yield await stack.enter_async_context(tower)

    @classmethod
    @asynccontextmanager
    async def over(
        cls,
        home: Path,
        plugins: Plugins,
        storage: Storage,
        strategies: Mapping[str, ReconnectStrategy],
        settings_for: Callable[[Path | None], Settings],
        env: Mapping[str, str],
    ) -> AsyncIterator[Tower]:
        """Boot a Tower over what `open` makes of plugins: an open storage, and started strategies."""
        async with AsyncExitStack() as stack:
            agents = Agents(storage, host_id())
            await agents.load()
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tower = cls(
                home=home,
                plugins=plugins,
                agents=agents,
                strategies=strategies,
                settings_for=settings_for,
                env=env,
                tasks=tasks,
            )
            await tower.survivors.boot(tower.settings["tower.boot_deadline"])
            tower._begin()
            stack.enter_context(tower.observers.telling())
            try:
                yield tower
            finally:
                with anyio.CancelScope(shield=True):
                    await tower._following.aclose()
                tasks.cancel_scope.cancel()

    def _begin(self) -> None:
        """Have everything run that goes on for as long as the Tower does."""
        for part in (self._supervisor, self.revival, self.inbox, self._capture, self.screens):
            self.agents.listen(partial(_forget_removed, self.agents, part.forget))
        for run in (self.adoption.run, self._attention.run, self.screens.run):
            self._tasks.start_soon(run)
        if self.settings["recover.at_boot"] == "auto":
            self._tasks.start_soon(self._recover)

    async def _recover(self) -> None:
        try:
            await self.recovery.after_boot(
                jobs=self.settings["recover.jobs"],
                max_age_days=self.settings["recover.max_age_days"],
                most_load=self.settings["recover.max_load"],
            )
        except AfxError as error:
            log.error("Lost agents were not brought back: %s", error.message)


def _forget_removed(agents: Agents, forget: Callable[[AgentId], None], change: Change) -> None:
    for agent_id in agents.removed(change.agents):
        forget(agent_id)


def _plugins(home: Path, settings: Settings) -> Plugins:
    return Plugins.load(settings["plugins.disabled"], settings=settings, marks=home / "loading")


def _storage(plugins: Plugins, home: Path, settings: Settings) -> Storage:
    name = str(settings["storage.name"])
    return plugins.storage(name, StorageContext(home, settings.section(f"storage.{name}")))


async def _start_strategies(
    plugins: Plugins, home: Path, settings: Settings, stack: AsyncExitStack
) -> dict[str, ReconnectStrategy]:
    """Make and start every reconnect strategy that there is; one that fails is left out, and said so."""
    strategies: dict[str, ReconnectStrategy] = {}
    for name in sorted({row.name for row in plugins.rows() if row.kind == "strategy"}):
        directory = home / name
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            context = StrategyContext(directory, settings.section(f"strategy.{name}"))
            strategy = plugins.strategy(name, context)
            await strategy.start()
        except AfxError as error:
            log.error("The reconnect strategy %s is not available: %s", name, error.message)
            continue
        stack.push_async_callback(strategy.aclose)
        strategies[name] = strategy
    return strategies
