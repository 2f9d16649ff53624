"""A model on the loopback interface that speaks Google's Generative Language API, as Gemini CLI asks for it.

What it answers, and its record of who asked what, are those of `model_server`. The program is pointed at it
with GOOGLE_GEMINI_BASE_URL.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

from . import loopback
from .model_server import ModelServer, command_in

_CONTEXT = "<session_context>"


class GeminiServer(ModelServer):
    """The server's record and address, while `serve` runs it."""

    def respond(self, body: dict[str, Any]) -> str:
        """Record a request and return its answer. What the program tells of the place is no message."""
        said: list[tuple[str, str]] = []
        told = _texts(body.get("systemInstruction", {}))
        for entry in body["contents"]:
            texts = _texts(entry)
            told += [text for text in texts if text.startswith(_CONTEXT)]
            text = "\n".join(text for text in texts if not text.startswith(_CONTEXT))
            if text:
                said.append(("user" if entry.get("role", "user") == "user" else "assistant", text))
        return self.record(system="\n".join(told), messages=tuple(said), body=body)


def serve() -> AbstractContextManager[GeminiServer]:
    """Run a model server on a free port of 127.0.0.1."""
    return loopback.serve(GeminiServer, _reply)


def _reply(server: GeminiServer, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    _, _, method = path.rpartition(":")
    if method == "countTokens":
        return "application/json", b'{"totalTokens": 10}'
    if method not in {"generateContent", "streamGenerateContent"}:
        return "application/json", b"{}"
    answer = server.respond(body)
    if body.get("generationConfig", {}).get("responseMimeType") == "application/json":
        # The program asks on the side which model to take.
        answer = '{"reasoning": "none", "model_choice": "flash", "complexity_score": 1}'
    command = command_in((("user", " ".join(_texts(body["contents"][-1]))),)) if body.get("tools") else None
    part: dict[str, Any] = {"text": answer}
    if command is not None:
        part = {"functionCall": {"name": "run_shell_command", "args": {"command": command}}}
    candidate = {
        "content": {"role": "model", "parts": [part]},
        "finishReason": "STOP",
        "index": 0,
    }
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
    reply = json.dumps({"candidates": [candidate], "usageMetadata": usage})
    if method == "generateContent":
        return "application/json", reply.encode()
    return "text/event-stream", f"data: {reply}\r\n\r\n".encode()


def _texts(content: dict[str, Any]) -> list[str]:
    return [part["text"] for part in content.get("parts", []) if "text" in part]
