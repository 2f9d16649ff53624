"""The requests that give terminals to agents, and agents to other strategies: orphans, adopt, convert."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from afx.tower.adoption import AdoptRequest
from afx.tower.tower import Tower

from .answers import json_response, read
from .view import agent_view, orphan_view
from .wire import AgentAnswer, ConvertAnswer, ConvertRequest, OrphansAnswer


class MovingRoutes:
    """The request handlers of one Tower for what changes hands."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower

    async def orphans(self, _: Request) -> Response:
        """Look for terminals that no record names."""
        found = await self._tower.adoption.seek()
        return json_response(OrphansAnswer(orphans=[orphan_view(orphan) for orphan in found]))

    async def adopt(self, request: Request) -> Response:
        """Make an orphan an agent's terminal."""
        agent = await self._tower.adoption.adopt(await read(request, AdoptRequest))
        return json_response(AgentAnswer(agent=agent_view(self._tower, agent), notes=[]))

    async def convert(self, request: Request) -> Response:
        """Move an agent to another reconnect strategy."""
        wanted = await read(request, ConvertRequest)
        agent, plan, notes = await self._tower.conversion.convert(
            request.path_params["agent"], wanted.strategy, at_once=wanted.now
        )
        return json_response(ConvertAnswer(agent=agent_view(self._tower, agent), plan=plan, notes=notes))
