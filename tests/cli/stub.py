"""A stand-in for the Tower's HTTP door: answers what the test says, and keeps what it was asked."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from afx import __version__

KEY = "k" * 43
NOW = 1_700_000_000.0


def agent(kind: str, name: str, *, state: str = "running", **facts: Any) -> dict[str, Any]:
    """One agent as `/api/state` has it."""
    terminal = {
        "id": f"t-{kind}-{name}",
        "state": "running",
        "strategy": "shellper",
        "pid": 1,
        "size": {"cols": 80, "rows": 24},
        "started_at": NOW,
        "last_output_at": NOW,
        "position": "e:0",
        "exit": None,
        "predecessors": [],
    }
    return {
        "id": f"id-{kind}-{name}",
        "kind": kind,
        "name": name,
        "harness": None,
        "state": state,
        "doing": "unknown",
        "reason": "",
        "cwd": "/w/one",
        "branch": None,
        "spawned_by": None,
        "task": None,
        "created_at": NOW,
        "waiting_messages": 0,
        "conversation": None,
        "terminal": terminal if state in ("running", "exited", "crashed") else None,
        **facts,
    }


def workspace(path: str, *agents: dict[str, Any], active: bool = True) -> dict[str, Any]:
    """One workspace as `/api/state` has it."""
    return {"path": path, "name": Path(path).name, "active": active, "agents": list(agents)}


class StubTower:
    """Answers by method and path; everything else is 404 in the Tower's own form."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.url = ""
        self.set_state()

    def set_state(self, *workspaces: dict[str, Any]) -> None:
        """Say what `/api/state` answers."""
        tower = {
            "pid": os.getpid(),
            "version": __version__,
            "url": self.url,
            "started_at": NOW,
            "home": "/h",
            "host": "h",
        }
        state = {
            "version": "b:1",
            "tower": tower,
            "workspaces": list(workspaces),
            "orphans": [],
            "plugins": [],
        }
        self.answers["GET", "/api/state"] = (200, state)

    def body_of(self, method: str, path: str) -> Any:
        """Return the body of the one request of this kind."""
        (body,) = [body for m, p, body in self.asked if (m, p) == (method, path)]
        return body


@contextmanager
def stub_tower(home: Path) -> Iterator[StubTower]:
    stub = StubTower()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            stub.asked.append((self.command, self.path, body))
            path = urlsplit(self.path).path
            answer: Any
            if self.headers["Authorization"] != f"Bearer {KEY}":
                status, answer = 401, {"error": {"code": "no-key", "message": "No key.", "hint": ""}}
            else:
                missing = {"error": {"code": "not-found", "message": f"No {path} here.", "hint": "Look."}}
                status, answer = stub.answers.get((self.command, path), (404, missing))
            data = (
                answer
                if isinstance(answer, bytes)
                else b""
                if answer is None
                else json.dumps(answer).encode()
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    stub.set_state()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = {
        "pid": os.getpid(),
        "port": server.server_port,
        "url": stub.url,
        "version": __version__,
        "started_at": NOW,
    }
    (home / "tower.json").write_text(json.dumps(facts))
    (home / "key").touch(0o600)
    (home / "key").write_text(KEY)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
