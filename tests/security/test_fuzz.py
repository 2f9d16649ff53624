"""Nonsense on every wire: the holder's frames, the WebSocket's messages, the bodies of requests.

The bodies are drawn from the schema that the Tower serves, and then spoilt. It describes shapes and no paths,
so a tool that wants OpenAPI has nothing to read; a small strategy of our own does.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from afx.testing.follower import open_terminal
from afx.testing.tower_process import TowerProcess
from afx_holding import frames
from e2e.asking import ask, host, with_key
from security.conftest import PATIENCE

fuzzed = settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
DEAF = "trap '' INT QUIT HUP TERM TSTP USR1 USR2; echo up; while :; do sleep 1000; done"
NUMBERS = some.one_of(
    some.integers(-3, 3), some.sampled_from([2**31, 2**63, -(2**63), 10**400, 0.5, 1e308, float("nan")])
)
JSON = some.recursive(
    some.none() | some.booleans() | NUMBERS | some.text(max_size=20),
    lambda inner: (
        some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
)


# The holder


FIELDS = (
    "version", "client", "since", "tail", "cols", "rows", "request", "number", "argv", "env", "cwd", "at",
    "nofile", "grace", "directory", "terminal_id", "agent_id", "scrollback",
)  # fmt: skip
# What a client may rightfully ask is no attack: to end the terminal, or to signal its program.
KINDS = some.integers(0, 255).filter(lambda kind: kind not in {frames.TERMINATE, frames.SIGNAL})
PAYLOADS = (
    some.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | some.dictionaries(some.sampled_from(FIELDS), JSON, max_size=6).map(lambda f: json.dumps(f).encode())
    | some.just(b"[" * 100_000)
    | some.just(b'{"cols":' + b"9" * 5000 + b',"rows":1}')
)
FRAMES = some.builds(frames.raw, KINDS, PAYLOADS)
HELLOS = some.sampled_from([b"", b'{"client":"terminal"', b'{"client":"tower"']).map(
    lambda begun: frames.raw(frames.HELLO, begun + b',"version":1}') if begun else b""
)
LIES = some.builds(frames.HEADER.pack, some.integers(0, 255), some.integers(0, 2**32 - 1))
STREAMS = some.builds(
    lambda hello, body: hello + b"".join(body), HELLOS, some.lists(FRAMES | LIES | some.binary(max_size=50))
)


@pytest.fixture(scope="module")
def held(target: TowerProcess, place: str) -> str:
    """A terminal whose program ignores what is typed and what it is told."""
    terminal: str = target.shell(place, DEAF, "held")["terminal"]["id"]
    return terminal


def greet(connection: socket.socket) -> dict[str, Any]:
    connection.sendall(frames.control(frames.HELLO, version=1, client="terminal", tail=0))
    decoder = frames.Decoder()
    while data := connection.recv(65536):
        for kind, payload in decoder.feed(data):
            if kind == frames.WELCOME:
                return frames.fields_of(payload)
    raise AssertionError("The holder hung up on a good client.")


def reach(target: TowerProcess, terminal: str) -> socket.socket:
    (path,) = target.home.glob(f"*/{terminal}.sock")
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(path))
    return connection


def test_a_holder_outlives_every_stream_of_frames_lesson_42(target: TowerProcess, held: str) -> None:
    with reach(target, held) as first:
        before = greet(first)

    @fuzzed
    @given(STREAMS)
    def attack(stream: bytes) -> None:
        with reach(target, held) as hostile:
            try:
                hostile.sendall(stream)
                hostile.shutdown(socket.SHUT_WR)
                while hostile.recv(65536):
                    pass
            except OSError:
                pass
        with reach(target, held) as good:
            after = greet(good)
        assert (after["pid"], after["child"], after["exit"]) == (before["pid"], before["child"], None)
        assert 1 <= after["cols"] <= 2000
        assert 1 <= after["rows"] <= 2000

    attack()
    # A stranger that calls itself a Tower takes the Tower's place; the Tower takes it back.
    target.eventually(lambda: target.agents()["shell/held"]["state"] == "running", timeout=PATIENCE)


# The WebSocket


MESSAGES = (
    JSON.map(json.dumps)
    | some.text(max_size=100)
    | some.fixed_dictionaries(
        {"type": some.sampled_from(["resize", "ping", "hello", "exit", "x", 3, None])},
        optional={"cols": JSON, "rows": JSON, "seq": JSON, "data": JSON},
    ).map(json.dumps)
    | some.just("[" * 100_000)
    | some.binary(max_size=100)
)


def ping(websocket: ClientConnection) -> None:
    """Ask whether the Tower is still there, and wait for its answer."""
    websocket.send('{"type": "ping"}')
    while True:
        said = websocket.recv(timeout=PATIENCE)
        if isinstance(said, str) and json.loads(said)["type"] == "pong":
            return


def test_a_websocket_outlives_every_message(target: TowerProcess, held: str) -> None:
    with open_terminal(target, held) as websocket:

        @fuzzed
        @given(some.lists(MESSAGES, max_size=5))
        def attack(messages: list[str | bytes]) -> None:
            for message in messages:
                websocket.send(message)
            ping(websocket)

        attack()
    terminal = target.agents()["shell/held"]["terminal"]
    assert terminal["state"] == "running"
    assert 1 <= terminal["size"]["cols"] <= 2000


@fuzzed
@given(
    query=some.dictionaries(
        some.sampled_from(["seq", "tail", "cols", "rows"]),
        some.text(max_size=12) | NUMBERS.map(str) | some.sampled_from(["a:1", ":", "x:-1", "0:" + "9" * 30]),
    )
)
def test_a_websocket_is_opened_or_refused_whatever_is_asked(
    target: TowerProcess, held: str, query: dict[str, str]
) -> None:
    status = 101
    try:
        with open_terminal(target, held, **query) as websocket:
            assert json.loads(websocket.recv(timeout=PATIENCE))["type"] == "hello"
    except InvalidStatus as refused:
        status = refused.response.status_code
    assert status in {101, 400}


# The bodies of requests


REQUESTS = {
    "/api/agents": "AgentRequest",
    "/api/agents/nobody/conversations": "ConversationRequest",
    "/api/agents/nobody/convert": "ConvertRequest",
    "/api/agents/nobody/resume": "ResumeRequest",
    "/api/agents/nobody/send": "SendRequest",
    "/api/login": "LoginRequest",
    "/api/orphans/adopt": "AdoptRequest",
    "/api/recover": "RecoverRequest",
    "/api/recover/apply": "RecoverApplyRequest",
    "/api/terminals/nobody/resize": "Size",
    "/api/terminals/nobody/signal": "SignalRequest",
    "/api/workspaces": "WorkspaceRequest",
    "/api/workspaces/forget": "WorkspacePathRequest",
    "/api/workspaces/stop": "WorkspacePathRequest",
}


def drawn(  # noqa: C901 - one case for each kind of schema
    schema: dict[str, Any], of: dict[str, Any]
) -> some.SearchStrategy[Any]:
    """Return values that fit a JSON schema, as far as our own shapes go."""
    if "$ref" in of:
        return drawn(schema, schema["$defs"][of["$ref"].rpartition("/")[2]])
    if "anyOf" in of:
        return some.one_of([drawn(schema, one) for one in of["anyOf"]])
    if "enum" in of:
        return some.sampled_from(of["enum"])
    match of.get("type"):
        case "object":
            needed = set(of.get("required", ()))
            fields = {name: drawn(schema, one) for name, one in of.get("properties", {}).items()}
            return some.fixed_dictionaries(
                {name: value for name, value in fields.items() if name in needed},
                optional={name: value for name, value in fields.items() if name not in needed},
            )
        case "array" if "prefixItems" in of:
            return some.tuples(*(drawn(schema, one) for one in of["prefixItems"])).map(list)
        case "array":
            return some.lists(drawn(schema, of.get("items") or {}), max_size=3)
        case "string":
            return some.text(max_size=30) | some.sampled_from(["../x", "-t", "a:b.c", "\n", "x" * 300, "/"])
        case "integer" | "number":
            return some.integers(of.get("minimum", -10), of.get("maximum", 1000))
        case "boolean":
            return some.booleans()
        case "null":
            return some.none()
        case _:
            return JSON


@some.composite
def spoilt(draw: some.DrawFn, good: some.SearchStrategy[Any]) -> bytes:
    """Draw a good value and do something to it."""
    value = draw(good)
    match draw(some.integers(0, 5)):
        case 0:
            return json.dumps(value).encode()
        case 1 if isinstance(value, dict) and value:
            value[draw(some.sampled_from(sorted(value)))] = draw(JSON)
        case 2 if isinstance(value, dict):
            value[draw(some.text(max_size=8))] = draw(JSON)
        case 3:
            text = json.dumps(value).encode()
            return text[: draw(some.integers(0, len(text)))]
        case 4:
            return draw(some.binary(max_size=60) | some.just(b"[" * 200_000) | some.just(b'{"a":' * 50_000))
        case _:
            return json.dumps(draw(JSON)).encode()
    return json.dumps(value).encode()


@pytest.mark.parametrize(("path", "shape"), REQUESTS.items())
def test_every_body_gets_an_answer_in_our_own_form(target: TowerProcess, path: str, shape: str) -> None:
    schema = target.request("GET", "/api/schema")
    good = drawn(schema, schema["$defs"][shape])

    @settings(fuzzed, max_examples=40)
    @given(spoilt(good))
    def attack(body: bytes) -> None:
        status, _, said = ask(target, "POST", path, with_key(target), body)
        # Whatever came of it: a sentence, never a failure of the Tower's own.
        assert status < 500, said
        if status >= 400:
            error = json.loads(said)["error"]
            assert error["code"] != "internal"
            assert error["message"].endswith((".", "?", "!"))

    attack()
    assert ask(target, "GET", "/health", host(target))[0] == 200


def test_every_request_that_the_schema_describes_is_fuzzed(target: TowerProcess) -> None:
    described = {name for name in target.request("GET", "/api/schema")["$defs"] if name.endswith("Request")}
    assert described <= set(REQUESTS.values()), "a new one needs a line in REQUESTS"
