"""What the page shows of what has passed: the screen of a terminal that is gone, and its own last build."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from playwright.sync_api import Error, Route, expect

from afx.api.process import send_signal
from afx.testing.tower_process import TowerProcess
from e2e.holding import holder_of

from .conftest import OpenTab

# A title, queries, a link that is none, markup, an end of the saved lines, modes that are left on.
HOSTILE = r"""
printf 'first \033[31mred\033[0m \033]0;<b>title</b>\007\033[c\033[6n'
printf '\033]8;;javascript:alert(1)\007click\033]8;;\007 <img src=//example.org onerror=alert(1)>\r\n\033[3J'
i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; done
printf '\033[?1000h\033[?2004hthe very last words'
exec sleep 1000
"""


def test_the_last_screen_of_a_terminal_that_is_gone_is_there_for_who_comes_later(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    agent = tower.shell(workspace, HOSTILE, "halted")
    output = f"/api/terminals/{agent['terminal']['id']}/output"
    tower.eventually(lambda: b"very last words" in tower.request("GET", output))
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    tower.kill()
    tower.start()

    tab = open_tab("#/shop/shell/halted")
    tab.await_text(agent, "^the very last words$")
    lines = tab.text(agent)
    assert lines[0] == "first red click <img src=//example.org onerror=alert(1)>"
    assert lines[1:-1] == [f"line {number}" for number in range(1, 61)]
    ending = tab.page.locator(".ending")
    expect(ending).to_contain_text("Stopped. A person stopped it.")
    expect(ending).to_contain_text("Above is its last screen")
    tab.page.keyboard.type("x")
    expect(ending).to_contain_text("What you typed was not sent.")
    assert tab.page.locator("img").count() == 0

    # What comes instead begins with a clear screen below all that, and is a terminal again.
    ending.get_by_role("button", name="Start again").click()
    tab.await_status(agent, "live")
    tab.await_text(agent, "brought back")
    tab.page.wait_for_function(f"() => afx.sessions.get('{agent['id']}').screen.text().at(-1) !== ''")
    lines = tab.text(agent)
    mark = next(place for place, line in enumerate(lines) if "brought back" in line)
    assert lines[mark - 1] == lines[-1] == "the very last words"
    assert lines[mark + 1 :].count("line 60") == lines[:mark].count("line 60") == 1
    expect(tab.page.locator(".ending")).to_have_count(0)


def test_while_a_holder_does_not_answer_its_last_screen_stands_in(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    agent = tower.shell(workspace, "echo what it shows now; exec sleep 1000", "silent")
    holder = holder_of(tower, agent["terminal"]["id"])
    tower.stop()
    kept = tower.home / "agents" / agent["id"] / "screen"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b'{"size": {"cols": 80, "rows": 24}, "at": 1}\nwhat it showed once')
    assert send_signal(holder, signal.SIGSTOP)
    try:
        tower.start()
        tab = open_tab("#/shop/shell/silent")
        tab.await_text(agent, "^what it showed once$")
        expect(tab.page.locator(".ending")).to_contain_text("No answer.")
    finally:
        send_signal(holder, signal.SIGCONT)
    tab.await_text(agent, "^what it shows now$")
    assert "what it showed once" not in tab.text(agent)
    expect(tab.page.locator(".ending")).to_have_count(0)


def test_of_an_agent_whose_screen_nobody_kept_the_page_says_so(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    agent = tower.shell(workspace, "exec sleep 1000", "halted")
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    (tower.home / "agents" / agent["id"] / "screen").unlink()
    tab = open_tab("#/shop/shell/halted")
    expect(tab.page.locator(".ending")).to_contain_text("Nothing of its screen was kept.")


def test_an_open_page_says_when_the_tower_serves_another_build_and_is_not_reloaded_by_itself(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    agent = tower.shell(workspace, "echo here; exec cat", "one")
    tab = open_tab()
    tab.await_text(agent, "here")
    bar = tab.page.get_by_text("afx was upgraded.")
    expect(bar).to_have_count(0)

    def upgraded(route: Route) -> None:
        try:
            response = route.fetch()
        except Error:  # The Tower is away.
            route.abort()
            return
        state = response.json()
        state["tower"]["page"] = "another"
        route.fulfill(response=response, body=json.dumps(state))

    tab.page.route("**/api/state", upgraded)
    tower.stop()
    tower.start()
    expect(bar).to_be_visible()
    assert tab.page.evaluate("sessionStorage.loads") == "1"
    tab.await_status(agent, "live")
    tab.page.get_by_role("button", name="Reload").click()
    tab.page.wait_for_function("() => sessionStorage.loads === '2' && window.afx !== undefined")
    tab.await_text(agent, "here")


def test_of_one_that_cannot_be_started_the_page_says_why_and_what_else_there_is_to_do(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    request = {"workspace": workspace, "kind": "builder", "name": "cart", "task": "Add a cart"}
    agent = tower.request("POST", "/api/agents", request)["agent"]
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    away = Path(agent["cwd"]).rename(tower.home.with_name("moved"))
    tab = open_tab("#/shop/builder/cart")
    ending = tab.page.locator(".ending")
    expect(ending).to_contain_text("Nothing can be started: The directory it works in is gone.")
    ending.get_by_role("button", name="Clean up…").click()
    expect(tab.page.get_by_role("heading", name="Clean up builder/cart?")).to_be_visible()
    tab.page.keyboard.press("Escape")

    # It may come back.
    away.rename(agent["cwd"])
    ending.get_by_role("button", name="Try again").click()
    tab.await_status(agent, "live")
    expect(ending).to_have_count(0)


def test_the_letters_of_one_that_is_stopped_stay_as_large_as_they_were(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    agent = tower.shell(workspace, "echo its words; exec sleep 1000", "halted")
    tab = open_tab("#/shop/shell/halted")
    tab.await_text(agent, "its words")
    screen = f"afx.sessions.get('{agent['id']}').screen"
    fits = f"{screen}.terminal.rows === {screen}.ownSize().rows"
    tab.page.wait_for_function(f"() => {fits}")
    before = tab.page.evaluate(f"{screen}.terminal.rows")

    tower.request("POST", f"/api/agents/{agent['id']}/stop")

    # What is said below it leaves less room, which is filled with fewer lines.
    expect(tab.page.locator(".ending")).to_contain_text("Stopped.")
    tab.page.wait_for_function(f"before => {screen}.terminal.rows < before && {fits}", arg=before)
    assert tab.page.evaluate(f"{screen}.terminal.options.fontSize") == 13


def test_of_a_shell_that_was_removed_no_key_is_promised_to_do_anything(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    tower.shell(workspace, "sleep 1000", "another")
    agent = tower.shell(workspace, "exit 0", "brief")
    tab = open_tab("#/shop/shell/brief")
    tab.await_text(agent, "Enter starts another.")
    ending = tab.page.locator(".ending")
    expect(ending).to_contain_text("Enter starts another.")

    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    expect(ending).to_contain_text("Keys do nothing here any more.")
    tower.request("DELETE", f"/api/agents/{agent['id']}")

    expect(ending).to_contain_text("Removed.")
    expect(ending).to_contain_text("Keys do nothing here any more.")
    ending.get_by_role("button", name="Close the tab").click()
    expect(tab.page.locator(".tab", has_text="brief")).to_have_count(0)
    # Where the page asked about it in that very moment, the browser tells of the answer.
    tab.conduct.wrong = [said for said in tab.conduct.wrong if "status of 404" not in said]
