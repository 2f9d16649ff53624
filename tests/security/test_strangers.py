"""Nobody gets past the guard: every route there is, tried by a page of another origin and without the key."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.routing import Route, WebSocketRoute

from afx.server.app import build_app
from afx.server.auth import Gate
from afx.server.parting import Parting
from afx.testing.follower import type_into
from afx.testing.tower_process import TowerProcess, processes_of
from afx.tower.tower import Tower
from e2e.asking import ask, host, with_key

OPEN = {("GET", "/"), ("GET", "/health"), ("GET", "/assets/x.js"), ("POST", "/api/login")}


class NoTower:
    """Stands where a Tower is wired in; nothing is asked of it."""

    def __getattr__(self, _: str) -> object:
        return self


APP = build_app(cast("Tower", NoTower()), Gate("k" * 43, 1), "http://127.0.0.1:1", Parting())
"""The application says itself which routes it has, so that none that is new escapes the attacks."""


def filled(path: str) -> str:
    for name, value in (("agent", "a1"), ("terminal", "t1"), ("name", "x.js")):
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path
    return path


ROUTES = sorted(
    (method, filled(route.path))
    for route in APP.routes
    if isinstance(route, Route)
    for method in (route.methods or set()) - {"HEAD"}
)
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
SOCKETS = sorted(filled(route.path) for route in APP.routes if isinstance(route, WebSocketRoute))
CHANGING = [(method, path) for method, path in ROUTES if method != "GET"]


def test_the_routes_are_found() -> None:
    assert len(CHANGING) >= 15
    assert set(ROUTES) >= OPEN
    assert len(SOCKETS) >= 2


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_rebound_name_and_a_foreign_page_get_nothing_lesson_45(
    target: TowerProcess, method: str, path: str
) -> None:
    for name in (f"evil.example:{target.port}", f"127.0.0.1.evil.example:{target.port}", "127.0.0.1", ""):
        status, _, said = ask(target, method, path, {**with_key(target), "Host": name}, b"{}")
        assert (status, json.loads(said)["error"]["code"]) == (403, "wrong-host")
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{target.port}", "http://127.0.0.1:1"):
        status, _, said = ask(target, method, path, {**with_key(target), "Origin": origin}, b"{}")
        assert (status, json.loads(said)["error"]["code"]) == (403, "wrong-origin")


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route not in OPEN])
def test_without_the_key_nothing_is_done_lesson_45(target: TowerProcess, method: str, path: str) -> None:
    key = target.key
    attempts: list[tuple[str, dict[str, str]]] = [
        (path, {}),
        (f"{path}?key={key}", {}),
        (f"{path}?token={key}&authorization=Bearer%20{key}", {}),
        (path, {"X-Api-Key": key}),
        (path, {"Authorization": f"Basic {key}"}),
        (path, {"Authorization": f"Bearer {key[:-1]}"}),
        (path, {"Authorization": "Bearer "}),
        (path, {"Cookie": f"afx_session_{target.port}={key}"}),
        (path, {"Cookie": f"afx_session_{target.port}=9999999999.{'0' * 64}"}),
        (path, {"Cookie": ";=;;\xff"}),
    ]
    for wanted, headers in attempts:
        status, _, said = ask(target, method, wanted, {**host(target), **headers}, b"{}")
        assert (status, json.loads(said)["error"]["code"]) == (401, "no-key"), (wanted, headers)


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_form_of_another_page_changes_nothing(target: TowerProcess, method: str, path: str) -> None:
    """A form needs no permission of ours to be sent, and carries the cookie where the browser is lenient."""
    code = target.request("POST", "/api/login-codes")["code"]
    before = target.state()["version"]
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        headers = {**with_key(target), "Origin": "http://evil.example", "Content-Type": kind}
        assert ask(target, method, path, headers, json.dumps({"code": code}).encode())[0] == 403
    assert target.state()["version"] == before
    body = json.dumps({"code": code}).encode()
    assert ask(target, "POST", "/api/login", host(target), body)[0] == 204, "the code was not used up"


@pytest.mark.parametrize("path", SOCKETS)
def test_a_foreign_page_opens_no_websocket_lesson_45(target: TowerProcess, place: str, path: str) -> None:
    name = f"origins-{len(path)}"
    path = path.replace("t1", str(target.shell(place, "sleep 1000", name)["terminal"]["id"]))
    for hostile in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": f"evil.example:{target.port}"},
    ):
        assert ask(target, "GET", path, {**with_key(target), **UPGRADE, **hostile})[0] == 403
    keyless = {**host(target), **UPGRADE}
    assert ask(target, "GET", f"{path}?key={target.key}", keyless)[0] == 401
    for said in (target.key, f"9999999999.{'0' * 64}"):
        cookie = {"Cookie": f"afx_session_{target.port}={said}"}
        assert ask(target, "GET", path, {**keyless, **cookie})[0] == 401


def test_strangers_do_not_fill_the_log(target: TowerProcess) -> None:
    before = (target.home / "tower.log").read_bytes()
    for _ in range(5):
        for path in SOCKETS:
            ask(target, "GET", path, {**host(target), **UPGRADE})
        ask(target, "GET", "/api/state", host(target))
        ask(target, "GET", "/api/nowhere", {"Host": "evil.example"})
    assert (target.home / "tower.log").read_bytes() == before


@pytest.mark.parametrize("path", ["/assets/../api/state", "/assets/%2e%2e/api/state", "/assets//api/state"])
def test_no_way_round_leads_past_the_guard(target: TowerProcess, path: str) -> None:
    assert ask(target, "GET", path, host(target))[0] in {401, 404}


def test_the_key_is_in_no_process_log_or_answer_lesson_45(target: TowerProcess, place: str) -> None:
    key = target.key
    agent = target.shell(place, "env; cat", "curious")
    type_into(target, agent["terminal"]["id"], b"x\r")
    for query in ("", f"?key={key}"):
        ask(target, "GET", f"/api/nowhere{query}", with_key(target))
        ask(target, "POST", f"/api/agents{query}", with_key(target), key.encode())
    said = [path.read_bytes() for path in target.home.glob("*.log*")]
    said += [json.dumps(target.state()).encode(), json.dumps(target.request("GET", "/api/schema")).encode()]
    said += [target.request("GET", f"/api/terminals/{agent['terminal']['id']}/output")]
    for process in processes_of(target.home):
        directory = Path(f"/proc/{process.pid}")
        said += [(directory / "cmdline").read_bytes(), (directory / "environ").read_bytes()]
    assert len(said) > 6
    assert not any(key.encode() in text for text in said)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    class Touchy(str):
        """A key that must not be compared in any other way, nor asked how it begins."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared with ==")

        def startswith(self, *_: Any) -> bool:
            raise AssertionError("asked how it begins")

    monkeypatch.setattr(hmac, "compare_digest", watched)
    gate = Gate(Touchy("k" * 43), 4100)
    assert not gate.admits("Bearer " + "k" * 42 + "x", None)
    assert gate.admits("Bearer " + "k" * 43, None)
    code = gate.issue_code()
    assert gate.redeem_code(code[:-1]) is None
    cookie = gate.redeem_code(code)
    assert gate.admits(None, f"{gate.cookie_name}={cookie}")
    assert not gate.admits(None, f"{gate.cookie_name}={cookie}0")
    assert len(compared) == 6
