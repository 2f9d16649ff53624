"""A model on the loopback interface that speaks OpenAI's Responses API, as Codex asks for it.

What it answers, and its record of who asked what, are those of `model_server`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from . import loopback
from .model_server import ModelServer, command_in

# What the program itself puts into the person's mouth.
_NOT_A_PERSON = ("<", "# AGENTS.md")


class CodexServer(ModelServer):
    """The server's record and address, while `serve` runs it."""

    def respond(self, body: dict[str, Any]) -> str:
        """Record a request and return its answer. Developer messages count as the system prompt."""
        said = [item for item in body["input"] if item.get("type", "message") == "message"]
        told = [_text(item["content"]) for item in said if item["role"] == "developer"]
        messages = tuple(
            (item["role"], text)
            for item in said
            if item["role"] != "developer" and not (text := _text(item["content"])).startswith(_NOT_A_PERSON)
        )
        system = "\n".join([body.get("instructions", ""), *told])
        return self.record(system=system, messages=messages, body=body)


def serve() -> AbstractContextManager[CodexServer]:
    """Run a model server on a free port of 127.0.0.1."""
    return loopback.serve(CodexServer, _reply)


def _reply(server: CodexServer, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    if not path.endswith("/responses"):
        return "application/json", b'{"models": [], "data": []}'
    answer = server.respond(body)
    return "text/event-stream", b"".join(_events(_call(body) or _message(answer), answer))


def _message(answer: str) -> dict[str, Any]:
    content = {"type": "output_text", "text": answer, "annotations": []}
    return {"type": "message", "role": "assistant", "id": "msg_1", "content": [content]}


def _call(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return a call that runs a command, if the last thing said asks for one and there is a tool for it."""
    last = body["input"][-1]
    is_message = last.get("type", "message") == "message"
    command = command_in(((last["role"], _text(last["content"])),)) if is_message else None
    tools = {tool.get("name") for tool in body.get("tools", ())}
    for name, key in (("exec_command", "cmd"), ("shell_command", "command")):
        if command is not None and name in tools:
            arguments = json.dumps({key: command, "sandbox_permissions": "require_escalated"})
            return {"type": "function_call", "name": name, "arguments": arguments, "call_id": "call_1"}
    return None


def _events(item: dict[str, Any], answer: str) -> Iterator[bytes]:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": None,
        "output_tokens": 10,
        "output_tokens_details": None,
        "total_tokens": 20,
    }
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "resp_1"}},
        *(
            [
                {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
                {
                    "type": "response.output_text.delta",
                    "item_id": "msg_1",
                    "output_index": 0,
                    "delta": answer,
                },
            ]
            if item["type"] == "message"
            else []
        ),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}},
    ]
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)
