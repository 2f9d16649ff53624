"""A model on the loopback interface: enough of Anthropic's Messages API for a real agent program to talk to.

It records every request and answers by rules that need no model, so that a test knows beforehand what the
program must show. Claude Code is pointed at it with ANTHROPIC_BASE_URL.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import msgspec

COMMAND = re.compile(r"Run the command: (.+)")
CODE_WORD = re.compile(r"the code word is (\w+)", re.IGNORECASE)
QUESTION = "What is the code word?"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request for an answer.

    Attributes:
        system: The whole system prompt.
        messages: Role and text of each message; text that the program itself added is left out.
        has_tools: True for the conversation itself, False for what the program asks on the side, such as a
            title.
        answer: What it was answered.
    """

    system: str
    messages: tuple[tuple[str, str], ...]
    has_tools: bool
    answer: str

    @property
    def prompt(self) -> str:
        """What the person said last."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")


def command_in(messages: tuple[tuple[str, str], ...]) -> str | None:
    """Return the command that the last message asks for, if it is the person's and asks for one."""
    role, text = messages[-1] if messages else ("", "")
    found = COMMAND.search(text) if role == "user" else None
    return None if found is None else found[1]


def answer_to(messages: tuple[tuple[str, str], ...]) -> str:
    """Return the answer: a code word is noted backwards and told when asked for; all else is repeated.

    A prompt that names a command is answered by a call of the tool Bash, see `_blocks`.
    """
    said = [text for role, text in messages if role == "user"]
    prompt = said[-1] if said else ""
    if QUESTION in prompt:
        known = [found for text in said for found in CODE_WORD.findall(text)]
        return f"It was {known[-1]}." if known else "I know of none."
    if told := CODE_WORD.findall(prompt):
        return f"Noted {told[-1][::-1]}."
    return f"You said: {prompt}"


class ModelServer:
    """The server's record and address, while `serve` runs it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._changed = threading.Condition()
        self._turns: list[Turn] = []

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns of conversations so far, oldest first. What programs ask on the side is left out."""
        with self._changed:
            return tuple(turn for turn in self._turns if turn.has_tools)

    def wait_for(self, wanted: Callable[[Turn], bool], *, seconds: float = 30, since: int = 0) -> Turn:
        """Return the first turn after the first `since` ones that is `wanted`.

        Raises:
            AssertionError: None came in time. It says which did.
        """

        def find() -> Turn | None:
            asked = [turn for turn in self._turns if turn.has_tools]
            return next((turn for turn in asked[since:] if wanted(turn)), None)

        with self._changed:
            found = self._changed.wait_for(find, seconds)
            prompts = [turn.prompt for turn in self._turns]
        assert found is not None, f"No such turn came in {seconds:g} s; the prompts were {prompts}."
        return found

    def respond(self, body: dict[str, Any]) -> str:
        """Record a request and return its answer."""
        messages = tuple((message["role"], _said(message["content"])) for message in body["messages"])
        answer = answer_to(messages)
        turn = Turn(
            system=_text(body.get("system", "")),
            messages=messages,
            has_tools=bool(body.get("tools")),
            answer=answer,
        )
        with self._changed:
            self._turns.append(turn)
            self._changed.notify_all()
        return answer


@contextmanager
def serve() -> Iterator[ModelServer]:
    """Run a model server on a free port of 127.0.0.1."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    server = ModelServer(f"http://127.0.0.1:{httpd.server_address[1]}")
    _Handler.servers[httpd] = server
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
        del _Handler.servers[httpd]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    servers: dict[Any, ModelServer] = {}  # noqa: RUF012 - the library makes handlers, so they look theirs up
    _ids = count(1)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self._send_json({"input_tokens": 10})
        elif path == "/v1/messages":
            answer = self.servers[self.server].respond(body)
            if body.get("stream"):
                self._stream(_blocks(body, answer), body["model"])
            else:
                message = self._message(body["model"])
                blocks = _blocks(body, answer)
                message.update(content=blocks, stop_reason=_stop_reason(blocks))
                self._send_json(message)
        else:
            self._send_json({})

    def do_GET(self) -> None:
        self._send_json({"data": []})

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def _message(self, model: str) -> dict[str, Any]:
        return {
            "id": f"msg_{next(self._ids):08}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 10},
        }

    def _stream(self, blocks: list[dict[str, Any]], model: str) -> None:
        events: list[dict[str, Any]] = [{"type": "message_start", "message": self._message(model)}]
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
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self._send(text.encode(), "text/event-stream")

    def _send_json(self, value: object) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, content: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


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
