"""A browser's tab with the Tower's page in it, looked at and worked in as a person does."""

from __future__ import annotations

import re
import time
from typing import Any

from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from afx.testing.tower_process import TowerProcess

from .chromium import Conduct


class Tab:
    """One tab, signed in."""

    def __init__(self, context: BrowserContext, tower: TowerProcess, address: str = "") -> None:
        self.tower = tower
        self.page: Page = context.new_page()
        self.conduct = Conduct(self.page)
        self.open_sockets: set[WebSocket] = set()
        self.page.on("websocket", self._count_socket)
        if not context.cookies(tower.url):
            code = tower.request("POST", "/api/login-codes")["code"]
            self.page.goto(f"{tower.url}/#code={code}")
            self.await_link()
        if address or self.page.url == "about:blank":
            self.page.goto(f"{tower.url}/{address}")
        self.await_link()

    def await_link(self, timeout: float = 20) -> None:
        """Wait until the page says that it is linked to the Tower.

        With every frame it is looked for: `expect` looks up to a second late.
        """
        self.page.wait_for_function(
            "() => document.querySelector('[data-tower=live]')?.checkVisibility()", timeout=timeout * 1000
        )

    def go(self, agent: dict[str, Any]) -> None:
        """Show an agent's terminal."""
        self.page.evaluate("id => afx.go(id)", agent["id"])
        expect(self.page.locator(f"#pane-{agent['id']}")).to_be_visible()

    def text(self, agent: dict[str, Any]) -> list[str]:
        """Return what stands in an agent's terminal, scrollback and all."""
        lines: list[str] = self.page.evaluate("id => afx.sessions.get(id)?.screen.text() ?? []", agent["id"])
        return lines

    def numbers(self, agent: dict[str, Any]) -> list[int]:
        """Return the numbers of a counter that stand in its terminal, but for the last line."""
        return [
            int(found[1]) for line in self.text(agent)[:-1] if (found := re.fullmatch(r"count (\d+)", line))
        ]

    def await_text(self, agent: dict[str, Any], pattern: str, timeout: float = 20) -> str:
        """Wait until a line matches, and return it."""
        deadline = time.monotonic() + timeout
        while True:
            lines = self.text(agent)
            for line in lines:
                if re.search(pattern, line):
                    return line
            if time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} did not come; the end is {lines[-5:]}")
            self.page.wait_for_timeout(20)

    def await_more(self, agent: dict[str, Any], after: int, timeout: float = 20) -> float:
        """Wait until a counter shows a greater number; return how long that took."""
        begin = time.monotonic()
        while not (numbers := self.numbers(agent)) or numbers[-1] <= after:
            if time.monotonic() - begin > timeout:
                raise AssertionError(f"Nothing after {after}; the last are {numbers[-3:]}")
            self.page.wait_for_timeout(20)
        return time.monotonic() - begin

    def await_status(self, agent: dict[str, Any], status: str) -> None:
        """Wait until an agent's terminal is connected so."""
        self.page.wait_for_function(
            "([id, status]) => afx.sessions.get(id)?.status === status", arg=[agent["id"], status]
        )

    def last_seen(self, agent: dict[str, Any]) -> int:
        """Return the last number of a counter once its terminal is cut off and all that came is shown."""
        self.page.wait_for_function(
            """id => {
                const { status, received, shown } = afx.sessions.get(id);
                return status !== 'live' && received === shown;
            }""",
            arg=agent["id"],
        )
        return self.numbers(agent)[-1]

    def close_code(self, path: str) -> int:
        """Open a WebSocket as the page would, and return the code with which the Tower closes it."""
        code: int = self.page.evaluate(
            """path => new Promise(resolve => {
                new WebSocket(path.replace(/^/, location.origin.replace('http', 'ws')))
                    .onclose = event => resolve(event.code);
            })""",
            path,
        )
        return code

    def weight(self) -> tuple[int, int]:
        """Return how many event listeners and documents the page holds, once its garbage is gone."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Performance.enable")
        session.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        session.detach()
        return int(metrics["JSEventListeners"]), int(metrics["Documents"])

    def _count_socket(self, socket: WebSocket) -> None:
        self.open_sockets.add(socket)
        socket.on("close", lambda _: self.open_sockets.discard(socket))

    def loads(self) -> int:
        """Return how often this page was loaded: 1 unless something reloaded it."""
        loads: int = self.page.evaluate("Number(sessionStorage.loads)")
        return loads
