"""A storage that keeps everything in memory, for tests of what stands on a storage.

It keeps to the contract as a real one does, refusals included, and passes `StorageSuite`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from afx.api.errors import StorageError
from afx.api.host_state import HostState
from afx.api.model import AgentId
from afx.api.process import ProcessIdentity
from afx.api.storage import Changes, Snapshot, Storage, StorageContext


class MemoryStorage(Storage):
    """A storage without a file. What was stored is there again for the next one of the same directory.

    Attributes:
        applied: The changes that were stored through this instance, for tests to look at.
    """

    name: ClassVar[str] = "memory"
    _places: ClassVar[dict[Path, dict[str, HostState]]] = {}

    def __init__(self, context: StorageContext) -> None:
        super().__init__(context)
        self.applied: list[Changes] = []
        self._place: dict[str, HostState] | None = None

    async def open(self) -> None:
        """Begin to use what is kept for the directory."""
        self._place = self._places.setdefault(self.context.directory, {})

    async def load(self, host: str) -> Snapshot:
        """Return what is stored about `host`."""
        return self._state(host).snapshot()

    async def apply(self, host: str, changes: Changes) -> None:
        """Store the changes, all or none."""
        self._opened()[host] = self._state(host).after(changes)
        self.applied.append(changes)

    async def claim(
        self,
        host: str,
        agent_id: AgentId,
        claimant: ProcessIdentity,
        *,
        displacing: ProcessIdentity | None = None,
    ) -> ProcessIdentity:
        """Claim the right to start an agent's program, and return whose right it is now."""
        state = self._state(host).after_claim(agent_id, claimant, displacing)
        self._opened()[host] = state
        return state.claims[agent_id]

    async def release(self, host: str, agent_id: AgentId, claimant: ProcessIdentity) -> None:
        """Give up a claim. Another's claim, or none, is left as it is."""
        self._opened()[host] = self._state(host).after_release(agent_id, claimant)

    async def aclose(self) -> None:
        """Stop using it."""
        self._place = None

    def _state(self, host: str) -> HostState:
        return self._opened().get(host, HostState(host=host))

    def _opened(self) -> dict[str, HostState]:
        if self._place is None:
            raise StorageError("The storage is not open.")
        return self._place
