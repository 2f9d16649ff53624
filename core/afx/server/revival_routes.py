"""The requests that bring agents back: resume, conversations, recover."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from afx.api.errors import BadInputError
from afx.api.model import Agent
from afx.tower.recovery import RecoveryNews, RecoveryRow
from afx.tower.resume import ResumePlan
from afx.tower.tower import Tower

from .answers import json_response, read
from .view import agent_view
from .wire import (
    ConversationDetail,
    ConversationRequest,
    ConversationsAnswer,
    PlanAnswer,
    RecoverAnswer,
    RecoverApplyRequest,
    RecoverRequest,
    ResumeAnswer,
    ResumeRequest,
    TranscriptView,
)


class RevivalRoutes:
    """The request handlers of one Tower that bring agents back."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower

    async def resume(self, request: Request) -> Response:
        """Bring an agent back, or say how it would be."""
        agent = self._agent(request)
        wanted = await read(request, ResumeRequest) if await request.body() else ResumeRequest()
        revival = self._tower.revival
        if wanted.dry_run:
            made = await revival.make_plan(agent, wanted=wanted.session_id, only_fresh=wanted.fresh)
            notes: list[str] = []
        else:
            made, notes = await revival.bring_back(
                agent.id, wanted=wanted.session_id, only_fresh=wanted.fresh
            )
        view = agent_view(self._tower, self._tower.agents.agent(agent.id))
        return json_response(ResumeAnswer(agent=view, plan=made, notes=notes))

    async def plan(self, request: Request) -> Response:
        """Tell how an agent was last brought back."""
        kept = self._agent(request).plan
        if kept is None:
            return json_response(PlanAnswer(plan=None, at=None))
        return json_response(PlanAnswer(plan=msgspec.convert(kept["plan"], ResumePlan), at=kept["at"]))

    async def conversations(self, request: Request) -> Response:
        """List an agent's conversations."""
        return await self._conversations(self._agent(request))

    async def choose(self, request: Request) -> Response:
        """Say which conversation an agent is to be resumed with next."""
        agent = self._agent(request)
        wanted = await read(request, ConversationRequest)
        if (wanted.use is None) != wanted.undo:
            raise BadInputError("Say either which conversation to use, or undo.")
        chosen = await self._tower.revival.choose(agent.id, wanted.use)
        return await self._conversations(chosen)

    async def recover(self, request: Request) -> Response:
        """List the agents that do not run, and how each would be brought back."""
        return json_response(RecoverAnswer(rows=await self._rows(await read(request, RecoverRequest))))

    async def recover_apply(self, request: Request) -> Response:
        """Bring back those agents that are eligible, and tell what happens as it happens."""
        wanted = await read(request, RecoverApplyRequest)
        only = None if wanted.agents is None else frozenset(wanted.agents)
        jobs = wanted.jobs or self._tower.settings["recover.jobs"]
        news = self._tower.recovery.apply(await self._rows(wanted), jobs=jobs, only=only)
        return StreamingResponse(_lines(news), media_type="application/x-ndjson")

    async def _rows(self, wanted: RecoverRequest) -> list[RecoveryRow]:
        return await self._tower.recovery.survey(
            workspace=wanted.workspace,
            max_age_days=wanted.max_age_days or self._tower.settings["recover.max_age_days"],
            include_stale=wanted.include_stale,
        )

    async def _conversations(self, agent: Agent) -> Response:
        current = self._tower.agents.conversation_of(agent.id)
        details = []
        for one, transcript in await self._tower.inquiry.transcripts(agent):
            details.append(
                ConversationDetail(
                    id=one.id,
                    harness=one.harness,
                    source=one.source,
                    at=one.at,
                    current=current is not None and one.id == current.id,
                    transcript=None
                    if transcript is None
                    else TranscriptView(
                        path=transcript.path,
                        size=transcript.size,
                        modified_at=transcript.modified_at,
                        first=transcript.first,
                        last=transcript.last,
                    ),
                )
            )
        details.sort(key=lambda detail: -detail.at)
        return json_response(ConversationsAnswer(conversations=details))

    def _agent(self, request: Request) -> Agent:
        return self._tower.agents.agent(request.path_params["agent"])


async def _lines(news: MemoryObjectReceiveStream[RecoveryNews]) -> AsyncIterator[bytes]:
    async with news:
        async for item in news:
            yield msgspec.json.encode(item) + b"\n"
