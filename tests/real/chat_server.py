"""A model on the loopback interface that speaks OpenAI's Chat Completions API, as many programs ask for it.

What it answers, and its record of who asked what, are those of `model_server`.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

from . import loopback
from .model_server import ModelServer, Turn, answer_to


class ChatServer(ModelServer):
    """The server's record and address, while `serve` runs it."""

    def respond(self, body: dict[str, Any]) -> str:
        """Record a request and return its answer."""
        told = [_text(one) for one in body["messages"] if one["role"] in {"system", "developer"}]
        messages = tuple(
            (one["role"], text)
            for one in body["messages"]
            if one["role"] in {"user", "assistant"} and (text := _text(one))
        )
        turn = Turn(
            system="\n".join(told),
            messages=messages,
            has_tools=bool(body.get("tools")),
            answer=answer_to(messages),
        )
        with self._changed:
            self._turns.append(turn)
            self._changed.notify_all()
        return turn.answer


def serve() -> AbstractContextManager[ChatServer]:
    """Run a model server on a free port of 127.0.0.1."""
    return loopback.serve(ChatServer, _reply)


def _reply(server: ChatServer, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    if not path.endswith("/chat/completions"):
        return "application/json", b'{"object": "list", "data": [{"id": "loopback", "object": "model"}]}'
    answer = server.respond(body)
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    head = {"id": "chat-1", "created": 1, "model": "loopback"}
    said = {"role": "assistant", "content": answer}
    if not body.get("stream"):
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return "application/json", json.dumps(whole).encode()
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": said, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
    ]
    events = [json.dumps({**head, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    return "text/event-stream", "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)
