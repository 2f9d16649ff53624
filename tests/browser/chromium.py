"""The machine's own Chromium: where it is, how it is started, and what a page in it must never do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from afx.server.page import ASSETS

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a browser says by itself when a Tower is away or asks for the key. No code of ours can keep it quiet.
_EXPECTED = ("net::ERR_", "status of 401", "WebSocket connection to")


def _unavailable(reason: str) -> None:
    """Skip; where CI promises a browser and a page, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium(more_flags: Sequence[str] = ()) -> Iterator[Browser]:
    """Run Chromium, headless and with a profile of its own."""
    path = os.environ.get("AFX_TEST_CHROMIUM", "/usr/bin/chromium")
    if not Path(path).exists():
        _unavailable(f"There is no Chromium at {path}; AFX_TEST_CHROMIUM says where one is.")
    if not (ASSETS / "index.html").exists():
        _unavailable("The page is not built; `pip install .` builds it where npm can be had.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[*(flag for flag in FLAGS if not more_flags or flag != "--disable-gpu"), *more_flags],
        )
        try:
            yield browser
        finally:
            browser.close()


class Conduct:
    """Watches a page: what went wrong in it, and whom it spoke to."""

    def __init__(self, page: Page) -> None:
        self.wrong: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda error: self.wrong.append(_said(error)))
        page.on("request", lambda request: self._count(request.url))
        page.on("websocket", lambda socket: self._count(socket.url))

    def check(self) -> None:
        """Fail where the page did what it must not."""
        assert not self.wrong, self.wrong
        assert self.hosts <= {"127.0.0.1"}, self.hosts

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not any(part in text for part in _EXPECTED):
            self.wrong.append(f"{kind}: {text}")

    def _count(self, url: str) -> None:
        if host := urlsplit(url).hostname:
            self.hosts.add(host)


def _said(error: Error) -> str:
    return f"{error.message}\n{error.stack}"
