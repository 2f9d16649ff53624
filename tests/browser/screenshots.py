"""Makes the pictures in the documentation, so that they show the page as it is.

``python -m browser.screenshots DIR``, with ``tests`` on PYTHONPATH: a Tower of its own, scripted agents, the
machine's Chromium. CI keeps the pictures of every run.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ViewportSize, expect

from afx.testing.tower_process import TowerProcess
from e2e.conftest import make_repository, short_path
from scripts import write_script

from .chromium import chromium
from .tab import Tab

DESK = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=800)

# What an agent program may look like in the middle of its work.
_WORKING = r"""
printf '\033[1;35m>\033[0m Add a login page that uses the existing session table\r\n\r\n'
printf '\033[32m●\033[0m I read \033[36msrc/session.py\033[0m and \033[36msrc/routes.py\033[0m first.\r\n'
printf '\033[32m●\033[0m \033[1mEdit\033[0m src/login.py\r\n'
printf '    \033[32m+ def login(request):\033[0m\r\n'
printf '    \033[32m+     user = check(request.form)\033[0m\r\n'
printf '    \033[32m+     return session_for(user)\033[0m\r\n'
printf '\033[32m●\033[0m \033[1mRun\033[0m pytest tests/test_login.py\r\n'
printf '    \033[2m14 passed in 0.82s\033[0m\r\n\r\n'
printf '\033[33m✻\033[0m Writing the template…\r\n'
"""
_SERVER = r"""
printf 'shop dev server on \033[4mhttp://127.0.0.1:8000\033[0m\r\n'
for path in / /cart /cart/3 /login /static/shop.css / /login; do
  printf '\033[2m12:04\033[0m \033[32m200\033[0m GET %s\r\n' "$path"
done
"""


@contextmanager
def shop() -> Iterator[TowerProcess]:
    """Run a Tower with a team that has something to show."""
    directory = short_path()
    programs = directory / "bin"
    write_script(programs / "claude", f"{_WORKING}\nexec cat >/dev/null")
    home = directory / "home"
    home.mkdir()
    path = f"{programs}:/usr/bin:/bin"
    tower = TowerProcess(directory / "s", {"HOME": str(home), "PATH": path, "SHELL": "/bin/sh"})
    try:
        tower.start()
        tower.env["AFX_PORT"] = str(tower.port)
        repository = make_repository(directory / "shop")
        tower.request("POST", "/api/workspaces", {"path": repository})
        for kind, name, task in (
            ("architect", "main", "Plan the shop"),
            ("builder", "login", "Add a login page"),
            ("builder", "cart", "Remember the cart"),
        ):
            request = {"workspace": repository, "kind": kind, "name": name, "task": task, "harness": "claude"}
            tower.request("POST", "/api/agents", request)
        tower.shell(repository, f"{_SERVER} exec sleep 1000", "server")
        tower.shell(repository, "printf 'building…\\r\\nout of memory\\r\\n'; exit 137", "assets")
        tower.eventually(lambda: tower.agents()["shell/assets"]["state"] == "crashed")
        yield tower
    finally:
        tower.end_everything()
        shutil.rmtree(directory, ignore_errors=True)


def take(browser: Browser, tower: TowerProcess, directory: Path, scheme: Any) -> None:
    """Take all pictures in one colour scheme."""
    context = browser.new_context(viewport=DESK, color_scheme=scheme)
    stranger = browser.new_context(viewport=DESK, color_scheme=scheme)
    phone = browser.new_context(
        viewport=PHONE, color_scheme=scheme, device_scale_factor=2, is_mobile=True, has_touch=True
    )

    def keep(tab: Tab, name: str) -> None:
        tab.page.wait_for_timeout(400)  # Fonts, the fading of what was there before.
        tab.page.screenshot(path=directory / f"page-{name}-{scheme}.png")

    page = stranger.new_page()
    page.goto(tower.url)
    expect(page.get_by_text("afx open")).to_be_visible()
    page.screenshot(path=directory / f"page-sign-in-{scheme}.png")

    agents = tower.agents()
    tab = Tab(context, tower)
    for label in ("shell/server", "shell/assets", "builder/login"):
        tab.go(agents[label])
    tab.await_text(agents["builder/login"], "Writing the template")
    keep(tab, "terminal")
    tab.go(agents["shell/assets"])
    tab.await_text(agents["shell/assets"], "out of memory")
    keep(tab, "crashed")
    tab.page.keyboard.press("Control+Shift+G")
    tab.await_text(agents["architect/main"], "Writing the template")
    keep(tab, "grid")
    tab.go(agents["builder/login"])
    tab.page.keyboard.press("Control+k")
    keep(tab, "palette")
    tab.page.keyboard.press("Escape")
    tab.page.evaluate("afx.open({kind: 'spawn'})")
    keep(tab, "spawn")
    tab.page.keyboard.press("Escape")
    tab.page.evaluate("id => afx.open({kind: 'cleanup', agent: id})", agents["builder/cart"]["id"])
    expect(tab.page.get_by_text("No work would be lost")).to_be_visible()
    keep(tab, "clean-up")
    tab.page.keyboard.press("Escape")
    tab.page.evaluate("afx.open({kind: 'recover'})")
    expect(tab.page.get_by_role("button", name="Bring back")).to_be_visible()
    keep(tab, "recover")
    tab.page.keyboard.press("Escape")

    tower.stop()
    expect(tab.page.get_by_text("Reconnecting…")).to_be_visible()
    keep(tab, "reconnecting")
    tower.start()
    context.close()
    stranger.close()

    # On its own: of several windows one sets the size.
    small = Tab(phone, tower, "#/shop/builder/login")
    small.await_text(agents["builder/login"], "Writing the template")
    keep(small, "phone")
    small.page.get_by_role("button", name="Agents").tap()
    keep(small, "phone-agents")
    phone.close()


def main(directory: Path) -> None:
    """Take all pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        with shop() as tower, chromium() as browser:
            take(browser, tower, directory, scheme)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
