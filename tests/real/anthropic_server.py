"""A model on the loopback interface that speaks Anthropic's Messages API, as Claude Code asks for it.

What it answers, and its record of who asked what, are those of `model_server`. The program is pointed at it
with ANTHROPIC_BASE_URL.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from . import loopback
from .model_server import COMMAND, ModelServer

_ids = count(1)


class AnthropicServer(ModelServer):
    """The server's record and address, while `serve` runs it."""

    def respond(self, body: dict[str, Any]) -> str:
        """Record a request and return its answer."""
        messages = tuple((message["role"], _said(message["content"])) for message in body["messages"])
        return self.record(system=_text(body.get("system", "")), messages=messages, body=body)


def serve() -> AbstractContextManager[AnthropicServer]:
    """Run a model server on a free port of 127.0.0.1."""
    return loopback.serve(AnthropicServer, _reply)


def _reply(server: AnthropicServer, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    if path.endswith("/count_tokens"):
        return "application/json", b'{"input_tokens": 10}'
    if path != "/v1/messages" or not body:
        return "application/json", b'{"data": []}'
    blocks = _blocks(body, server.respond(body))
    message = {
        "id": f"msg_{next(_ids):08}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    }
    if body.get("stream"):
        return "text/event-stream", _events(message, blocks)
    message.update(content=blocks, stop_reason=_stop_reason(blocks))
    return "application/json", json.dumps(message).encode()


def _events(message: dict[str, Any], blocks: list[dict[str, Any]]) -> bytes:
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start: dict[str, Any] = {**block, "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    reason = {"stop_reason": _stop_reason(blocks)}
    events += [
        {"type": "message_delta", "delta": reason, "usage": {"output_tokens": 10}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def _blocks(body: dict[str, Any], answer: str) -> list[dict[str, Any]]:
    """Return the content of an answer: a call of the tool Bash where that was asked for, else the text."""
    # The result of the call has no text of its own, and so is no prompt to call it again.
    last = [message for message in body["messages"] if message["role"] == "user"][-1:]
    found = COMMAND.search(_said(last[0]["content"])) if last else None
    if found is None or not body.get("tools"):
        return [{"type": "text", "text": answer}]
    call = {"command": found[1], "description": "As asked."}
    return [{"type": "tool_use", "id": f"toolu_{len(body['messages']):08}", "name": "Bash", "input": call}]


def _stop_reason(blocks: list[dict[str, Any]]) -> str:
    return "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"


def _text(content: str | list[dict[str, Any]]) -> str:
    """Return all text of a content, which the API takes as a string or as blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block.get("type") == "text")


def _said(content: str | list[dict[str, Any]]) -> str:
    """Return what was said, without the reminders that the program adds in blocks of their own."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return _text([block for block in blocks if not block.get("text", "").startswith("<system-reminder>")])
