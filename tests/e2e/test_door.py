"""The Tower's door: who may come in, and what is said to those who ask for something impossible."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from afx.testing.follower import Follower, open_terminal
from afx.testing.tower_process import RequestFailedError, TowerFailedError, TowerProcess
from e2e.asking import ask, host, with_key


def test_health_needs_no_key(tower: TowerProcess) -> None:
    status, headers, body = ask(tower, "GET", "/health", host(tower))
    assert status == 200
    assert json.loads(body)["ready"] is True
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/state"),
        ("GET", "/api/events"),
        ("GET", "/api/schema"),
        ("GET", "/api/plugins"),
        ("GET", "/nothing"),
        ("POST", "/api/agents"),
        ("POST", "/api/login-codes"),
        ("POST", "/api/workspaces"),
        ("DELETE", "/api/agents/x"),
        ("GET", "/api/terminals/x/output"),
    ],
)
def test_without_the_key_nothing_lesson_45(tower: TowerProcess, method: str, path: str) -> None:
    status, _, body = ask(tower, method, path, host(tower), "{}" if method == "POST" else None)
    assert status == 401
    assert json.loads(body)["error"]["hint"]


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1:1", "", "localhost.evil.example"])
def test_a_foreign_host_is_refused_even_with_the_key_lesson_45(tower: TowerProcess, name: str) -> None:
    for path in ("/api/state", "/health", "/"):
        status, _, body = ask(tower, "GET", path, {**with_key(tower), "Host": name})
        assert status == 403
        assert json.loads(body)["error"]["code"] == "wrong-host"


def test_a_foreign_origin_is_refused_even_with_the_key_lesson_45(tower: TowerProcess) -> None:
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{tower.port}"):
        status, _, body = ask(tower, "POST", "/api/login-codes", {**with_key(tower), "Origin": origin}, "")
        assert (status, json.loads(body)["error"]["code"]) == (403, "wrong-origin")


def test_a_code_becomes_a_cookie_once(tower: TowerProcess) -> None:
    code = tower.request("POST", "/api/login-codes")["code"]
    status, headers, _ = ask(tower, "POST", "/api/login", host(tower), json.dumps({"code": code}))
    assert status == 204
    cookie = headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    with_cookie = {**host(tower), "Cookie": cookie.partition(";")[0]}
    assert ask(tower, "GET", "/api/state", with_cookie)[0] == 200
    status, _, body = ask(tower, "POST", "/api/login", host(tower), json.dumps({"code": code}))
    assert (status, json.loads(body)["error"]["code"]) == (409, "bad-code")


def spawning(**changes: object) -> dict[str, Any]:
    return {"workspace": "$WORKSPACE", "kind": "builder", "name": "x", **changes}


BAD_REQUESTS: list[tuple[str, str, str, object, int]] = [
    ("no such path", "GET", "/api/nothing", None, 404),
    ("wrong method", "GET", "/api/agents", None, 405),
    ("no JSON", "POST", "/api/agents", b"{", 400),
    ("no UTF-8", "POST", "/api/agents", b'"\xff"', 400),
    ("empty body", "POST", "/api/agents", b"", 400),
    ("a list", "POST", "/api/agents", [], 400),
    ("field missing", "POST", "/api/agents", {"kind": "shell"}, 400),
    ("unknown field", "POST", "/api/agents", spawning(color="red"), 400),
    ("unknown kind", "POST", "/api/agents", spawning(kind="plumber"), 400),
    ("unknown harness", "POST", "/api/agents", spawning(harness="nope"), 400),
    ("harness for a shell", "POST", "/api/agents", spawning(kind="shell", harness="claude"), 400),
    ("unknown strategy", "POST", "/api/agents", spawning(strategy="nope"), 400),
    ("unknown workspace", "POST", "/api/agents", spawning(workspace="/nowhere"), 404),
    ("unknown parent", "POST", "/api/agents", spawning(spawned_by="nope"), 404),
    ("size of nothing", "POST", "/api/agents", spawning(size={"cols": 0, "rows": 5}), 400),
    ("size of the moon", "POST", "/api/agents", spawning(size={"cols": 10**9, "rows": 5}), 400),
    ("path as name, lesson 47", "POST", "/api/agents", spawning(name="../x"), 400),
    ("option as name, lesson 47", "POST", "/api/agents", spawning(name="-t"), 400),
    ("target as name, lesson 47", "POST", "/api/agents", spawning(name="a:b.c"), 400),
    ("two lines as name, lesson 47", "POST", "/api/agents", spawning(name="a\nb"), 400),
    ("long name, lesson 47", "POST", "/api/agents", spawning(name="n" * 300), 400),
    ("empty name", "POST", "/api/agents", spawning(name=""), 400),
    ("option as branch, lesson 47", "POST", "/api/agents", spawning(branch="--force"), 400),
    ("impossible branch", "POST", "/api/agents", spawning(branch="a..b"), 400),
    ("NUL in an argument", "POST", "/api/agents", spawning(kind="shell", args=["\0"]), 400),
    ("workspace that is no repository", "POST", "/api/workspaces", {"path": "/"}, 400),
    ("workspace that is not there", "POST", "/api/workspaces", {"path": "/not/there"}, 400),
    ("relative workspace", "POST", "/api/workspaces", {"path": "here"}, 400),
    ("workspace with NUL", "POST", "/api/workspaces", {"path": "/a\0b"}, 400),
    ("unknown workspace to stop", "POST", "/api/workspaces/stop", {"path": "/nowhere"}, 404),
    ("unknown workspace to forget", "POST", "/api/workspaces/forget", {"path": "/nowhere"}, 404),
    ("unknown agent to resume", "POST", "/api/agents/nope/resume", {}, 404),
    ("unknown agent to stop", "POST", "/api/agents/nope/stop", None, 404),
    ("unknown agent to remove", "DELETE", "/api/agents/nope", None, 404),
    ("force of another kind", "DELETE", "/api/agents/nope?force=yes", None, 400),
    ("message to nobody", "POST", "/api/agents/nope/send", {"text": "hi"}, 404),
    ("unknown terminal to resize", "POST", "/api/terminals/nope/resize", {"cols": 80, "rows": 24}, 404),
    ("unknown terminal to signal", "POST", "/api/terminals/nope/signal", {"signal": "INT"}, 404),
    ("unknown terminal to read", "GET", "/api/terminals/nope/output", None, 404),
    ("bad code", "POST", "/api/login", {"code": "nope"}, 409),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [pytest.param(*row[1:], id=row[0]) for row in BAD_REQUESTS],
)
def test_bad_requests_get_a_sentence_and_leave_nothing(
    shared_tower: TowerProcess, shared_workspace: str, method: str, path: str, body: object, status: int
) -> None:
    before = shared_tower.agents()
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    text = text.replace(b"$WORKSPACE", shared_workspace.encode())
    answer = ask(shared_tower, method, path, with_key(shared_tower), None if body is None else text)
    assert answer.status == status, answer
    error = json.loads(answer.body)["error"]
    assert error["code"]
    assert error["message"].endswith((".", "?")), error
    assert b"Traceback" not in answer.body
    assert shared_tower.agents() == before
    assert not list(Path(shared_workspace, ".builders").glob("*"))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("resize", {"cols": -1, "rows": 2}, 400),
        ("resize", {"cols": "80", "rows": 24}, 400),
        ("signal", {"signal": "NOPE"}, 400),
        ("signal", {"signal": 9}, 400),
    ],
)
def test_bad_requests_to_a_live_terminal(
    shared_tower: TowerProcess, shared_workspace: str, path: str, body: object, status: int
) -> None:
    agent = shared_tower.shell(shared_workspace, "cat")
    with pytest.raises(RequestFailedError) as caught:
        shared_tower.request("POST", f"/api/terminals/{agent['terminal']['id']}/{path}", body)
    assert caught.value.status == status
    shared_tower.request("DELETE", f"/api/agents/{agent['id']}")


def test_an_empty_message_and_a_huge_one(shared_tower: TowerProcess, shared_workspace: str) -> None:
    agent = shared_tower.shell(shared_workspace, "cat")
    for text in ("", " \n", "\x1b\x00", "x" * (256 * 1024 + 1)):
        with pytest.raises(RequestFailedError) as caught:
            shared_tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": text})
        assert caught.value.status == 400
    with pytest.raises(RequestFailedError) as caught:
        shared_tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "x" * 2**21})
    assert caught.value.status == 413
    shared_tower.request("DELETE", f"/api/agents/{agent['id']}")


def test_a_taken_name_is_refused_and_a_missing_program_too(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, "cat", "one")
    with pytest.raises(RequestFailedError) as caught:
        tower.shell(workspace, "cat", "one")
    assert (caught.value.status, caught.value.error["code"]) == (409, "name-taken")
    assert tower.agents()["shell/one"]["id"] == agent["id"]


def test_a_terminal_that_is_not_there(tower: TowerProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_terminal(tower, "nope")
    assert refused.value.response.status_code == 404
    headers = {"Authorization": f"Bearer {tower.key}"}
    origin = Origin(f"http://127.0.0.1:{tower.port}")
    url = tower.websocket_url("nope")
    with connect(url, additional_headers=headers, origin=origin, proxy=None) as page:
        with pytest.raises(ConnectionClosed):
            page.recv(timeout=5)
        assert page.close_code == 4404


def test_a_terminal_without_the_key_lesson_45(tower: TowerProcess, workspace: str) -> None:
    url = tower.websocket_url(tower.shell(workspace, "cat")["terminal"]["id"])
    with pytest.raises(InvalidStatus) as refused:
        connect(url, proxy=None)
    assert refused.value.response.status_code == 401
    origin = Origin(f"http://127.0.0.1:{tower.port}")
    with connect(url, origin=origin, proxy=None) as page:
        with pytest.raises(ConnectionClosed):
            page.recv(timeout=5)
        assert page.close_code == 4401
    headers = {"Authorization": f"Bearer {tower.key}"}
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=headers, origin=Origin("http://evil.example"), proxy=None)
    assert refused.value.response.status_code == 403


def test_going_away_is_1001(tower: TowerProcess, workspace: str) -> None:
    with open_terminal(tower, tower.shell(workspace, "cat")["terminal"]["id"]) as websocket:
        websocket.recv(timeout=5)
        tower.stop()
        list(websocket)
        assert websocket.close_code == 1001


def test_control_messages(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, "trap 'stty size' WINCH; while :; do read x || sleep 0.1; done")
    with open_terminal(tower, agent["terminal"]["id"], cols=90, rows=30) as websocket:
        hello = json.loads(websocket.recv(timeout=5))
        assert (hello["type"], hello["size"]) == ("hello", {"cols": 90, "rows": 30})
        for garbage in ("", "{", "[]", '{"type": 7}', '{"type": "resize", "cols": "x"}', "null"):
            websocket.send(garbage)
        websocket.send('{"type": "ping"}')
        websocket.send('{"type": "resize", "cols": 100, "rows": 33}')
        seen: list[str] = []
        deadline = time.monotonic() + 10
        while {"pong", "resize"} - set(seen) and time.monotonic() < deadline:
            message = websocket.recv(timeout=5)
            if isinstance(message, str):
                seen.append(json.loads(message)["type"])
        assert {"pong", "resize"} <= set(seen)
    assert tower.agents()[f"shell/{agent['name']}"]["terminal"]["size"] == {"cols": 100, "rows": 33}


def test_output_up_to_now_and_from_a_place(tower: TowerProcess, workspace: str) -> None:
    agent = tower.shell(workspace, "echo one; read x; echo two; cat")
    terminal = agent["terminal"]["id"]
    follower = Follower(tower, terminal)
    follower.wait_for(rb"one\r\n")

    def output(query: str = "") -> tuple[http.client.HTTPMessage, bytes]:
        status, headers, body = ask(tower, "GET", f"/api/terminals/{terminal}/output{query}", with_key(tower))
        assert status == 200
        return headers, body

    headers, body = output()
    assert body == b"one\r\n"
    assert headers["afx-reset"] == "1"
    end = headers["afx-end"]
    tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "go"})
    follower.wait_for(rb"two\r\n")
    headers, body = output(f"?from={end}")
    assert headers["afx-reset"] is None
    assert headers["afx-start"] == end
    assert body.endswith(b"two\r\n")
    headers, body = output("?from=other:5")
    assert headers["afx-reset"] == "1"
    for bad in ("?from=5", "?from=e:-1", "?tail=x"):
        assert ask(tower, "GET", f"/api/terminals/{terminal}/output{bad}", with_key(tower))[0] == 400
    follower.close()


class EventReader:
    """Reads server-sent events."""

    def __init__(self, tower: TowerProcess, last: str | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", tower.port, timeout=10)
        headers = with_key(tower) | ({} if last is None else {"Last-Event-ID": last})
        self.connection.request("GET", "/api/events", headers=headers)
        self.response = self.connection.getresponse()

    def next(self) -> tuple[str, dict[str, Any]]:
        name = ""
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                name = line[4:]
            if line.startswith("data: "):
                return name, json.loads(line[6:])
            assert self.response.fp is not None

    def until(self, agent_id: str) -> str:
        while True:
            name, event = self.next()
            if agent_id in event.get("agents", ()):
                return name


@pytest.fixture
def events(tower: TowerProcess) -> Iterator[EventReader]:
    reader = EventReader(tower)
    yield reader
    reader.connection.close()


def test_events_tell_what_changed_and_continue(
    tower: TowerProcess, events: EventReader, workspace: str
) -> None:
    agent = tower.shell(workspace, "cat")
    last = events.until(agent["id"])
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    again = EventReader(tower, last)
    again.until(agent["id"])
    again.connection.close()
    after_a_restart = EventReader(tower, "otherboot:3")
    assert after_a_restart.next()[1]["all"] is True
    after_a_restart.connection.close()


def test_the_schema_describes_the_state(tower: TowerProcess) -> None:
    shapes = tower.request("GET", "/api/schema")["$defs"]
    state = tower.state()
    assert set(shapes["StateView"]["properties"]) == set(state)
    assert set(shapes["TowerView"]["properties"]) == set(state["tower"])


def test_one_tower_for_a_state_directory(tower: TowerProcess) -> None:
    second = TowerProcess(tower.home)
    with pytest.raises(TowerFailedError, match="already serves"):
        second.start()
    assert tower.process is not None
    assert tower.state()["tower"]["pid"] == tower.process.pid


def test_a_taken_port_is_named_and_left_alone_lesson_12(tower: TowerProcess, short_directory: Path) -> None:
    second = TowerProcess(short_directory / "other", {"AFX_PORT": str(tower.port)})
    assert tower.process is not None
    taken = rf"Port {tower.port} is taken by pid {tower.process.pid} \("
    with pytest.raises(TowerFailedError, match=taken) as refused:
        second.start()
    assert "python" in str(refused.value)
    assert tower.state()


def test_the_key_is_in_no_log_lesson_45(tower: TowerProcess, workspace: str) -> None:
    tower.shell(workspace, "cat")
    ask(tower, "GET", f"/api/nothing?key={tower.key}", with_key(tower))
    tower.stop()
    for path in (tower.home / "tower.log", tower.home.with_suffix(".out")):
        assert tower.key not in path.read_text(encoding="utf-8")
    assert (tower.home / "tower.log").stat().st_mode & 0o077 == 0
    assert tower.home.stat().st_mode & 0o077 == 0
