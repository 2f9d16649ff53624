"""The page outlives Towers, terminals and lines, and nobody has to touch it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, WebSocketRoute, expect

from afx.api.process import send_signal
from afx.testing.tower_process import TowerProcess, processes_of
from e2e.steps import kill_everything

from .conftest import COUNTER, SOON, OpenTab, counts_whole
from .tab import Tab

OUTAGE = float(os.environ.get("AFX_TEST_OUTAGE", "3"))
"""How long the Tower is down in the test of a long outage, in seconds: until a page's pauses are longest."""
RESTARTS = int(os.environ.get("AFX_TEST_RESTARTS", "20"))


def test_a_terminal_goes_on_after_a_restart_of_the_tower_with_every_byte_once(
    tower: TowerProcess, counter: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 30")
    tower.stop()
    shown = tab.last_seen(counter)

    tower.start()

    # The counter ran on while its Tower was away: what it said meanwhile comes first.
    assert tab.await_more(counter, shown) < SOON
    tab.await_link()
    tab.await_more(counter, shown + 100)
    assert counts_whole(tab.numbers(counter))
    assert tab.loads() == 1


def test_a_tab_moves_to_the_successor_of_a_terminal_that_died_with_its_tower_lesson_13(
    tower: TowerProcess, architect: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(architect, "heard 1: Plan the shop")

    kill_everything(tower)
    tower.start()
    expect(tab.page.locator(".ending")).to_contain_text("Lost", timeout=20_000)
    tower.request("POST", f"/api/agents/{architect['id']}/resume", {})

    begin = time.monotonic()
    tab.await_text(architect, "turns=1 ")
    assert time.monotonic() - begin < SOON
    successor = tower.agents()["architect/main"]["terminal"]
    assert architect["terminal"]["id"] in successor["predecessors"]
    assert tab.page.evaluate("id => afx.sessions.get(id).terminal", architect["id"]) == successor["id"]
    assert tab.close_code(f"/ws/terminal/{architect['terminal']['id']}") == 4404
    assert tab.loads() == 1


def test_a_tab_follows_when_a_holder_dies_and_its_tower_lives(
    tower: TowerProcess, architect: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(architect, "heard 1: Plan the shop")
    assert tower.process is not None

    for process in processes_of(tower.home):
        if process.pid != tower.process.pid:
            send_signal(process, signal.SIGKILL)

    tab.await_text(architect, "turns=1 ")
    tab.await_status(architect, "live")
    assert architect["terminal"]["id"] in tower.agents()["architect/main"]["terminal"]["predecessors"]
    assert tab.loads() == 1


def test_a_terminal_whose_holder_does_not_answer_is_waited_for_lesson_02(
    tower: TowerProcess, counter: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 5")
    tower.stop()
    held = processes_of(tower.home)
    for process in held:
        send_signal(process, signal.SIGSTOP)
    shown = tab.last_seen(counter)
    try:
        tower.start()
        expect(tab.page.locator(".ending")).to_contain_text("No answer.", timeout=20_000)
        expect(tab.page.locator(".agent")).to_contain_text("no answer")
    finally:
        for process in held:
            send_signal(process, signal.SIGCONT)

    tab.await_more(counter, shown)
    expect(tab.page.locator(".ending")).to_have_count(0)
    assert counts_whole(tab.numbers(counter))


def test_a_lost_agent_is_brought_back_by_its_one_button(
    tower: TowerProcess, architect: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(architect, "heard 1: Plan the shop")
    kill_everything(tower)
    tower.start()

    expect(tab.page.locator(".ending")).to_contain_text("Lost.", timeout=20_000)
    assert any("heard 1: Plan the shop" in line for line in tab.text(architect)), "its screen stays"
    # Who comes later, and where no screen was kept, is shown what was said last.
    (tower.home / "agents" / architect["id"] / "screen").unlink(missing_ok=True)
    late = open_tab("#/shop/architect/main")
    expect(late.page.locator(".ending")).to_contain_text("heard 1: Plan the shop")
    tab.page.get_by_role("button", name="Bring it back").click()

    tab.await_text(architect, "turns=1 ")
    expect(tab.page.locator(".ending")).to_have_count(0)
    marked_off_from_what_is_new(tab.text(architect), "heard 1: Plan the shop")
    # Nothing of the terminal was shown where its last screen was not kept, so there is nothing to mark off.
    late.await_text(architect, "turns=1 ")
    assert not any("brought back" in line for line in late.text(architect))


@pytest.mark.parametrize("seen", ["before", "after"])
def test_the_last_screen_of_a_terminal_can_be_scrolled_to_once_its_agent_is_back(
    tower: TowerProcess, workspace: str, open_tab: OpenTab, seen: str
) -> None:
    script = r"seq 1 100; printf '\033[?1049h\033[2J\033[Hthe whole screen\033[3;1Hof an editor'; sleep 1000"
    agent = tower.shell(workspace, script, "editor")

    def look() -> Tab:
        tab = open_tab("#/shop/shell/editor")
        tab.await_text(agent, "of an editor")
        return tab

    output = f"/api/terminals/{agent['terminal']['id']}/output"
    tower.eventually(lambda: b"of an editor" in tower.request("GET", output))
    early = look() if seen == "before" else None
    tower.request("POST", f"/api/agents/{agent['id']}/stop")
    tab = early or look()
    ending = tab.page.locator(".ending")
    expect(ending).to_contain_text("Stopped.")

    ending.get_by_role("button").click()

    tab.await_status(agent, "live")
    terminal = f"afx.sessions.get('{agent['id']}').screen.terminal"
    above = tab.page.wait_for_function(
        f"""() => {{
            const lines = [], {{ normal, active }} = {terminal}.buffer;
            if (active.type === 'normal') return null;
            for (let row = 0; row < normal.length; row++)
                lines.push(normal.getLine(row).translateToString(true));
            return lines;
        }}"""
    ).json_value()
    marked_off_from_what_is_new(above, "the whole screen", "", "of an editor")
    assert [line for line in above if line.isdigit()][-100:] == [str(number) for number in range(1, 101)]


def marked_off_from_what_is_new(lines: list[str], *last: str) -> None:
    """Check that the last lines of a terminal's predecessor stand above those of its own."""
    mark = next(place for place, line in enumerate(lines) if re.search(r"── brought back \d.* ──", line))
    assert any(lines[place : place + len(last)] == list(last) for place in range(mark)), lines[:mark]
    assert not any(line in last for line in lines[mark:] if line), lines[mark:]


def test_a_terminal_that_was_not_there_and_returns_under_the_very_same_id_heals_lesson_13(
    counter: dict[str, Any], context: BrowserContext, open_tab: OpenTab
) -> None:
    refused: list[WebSocketRoute] = []

    def refuse_twice(route: WebSocketRoute) -> None:
        if 0 < len(refused) <= 2:
            route.close(code=4404, reason="There is no such terminal.")
        else:
            route.connect_to_server()
        refused.append(route)

    context.route_web_socket(lambda url: "/ws/terminal/" in url, refuse_twice)
    tab = open_tab()
    tab.await_text(counter, "count 5")

    refused[0].close(code=4404, reason="There is no such terminal.")
    began = time.monotonic()
    while len(refused) < 4:
        assert time.monotonic() - began < SOON, f"It was tried {len(refused)} times."
        tab.page.wait_for_timeout(20)

    assert tab.await_more(counter, tab.numbers(counter)[-1]) < SOON
    assert counts_whole(tab.numbers(counter))


def test_a_tower_that_knows_nothing_of_a_terminal_is_no_reason_to_forget_it(
    tower: TowerProcess, counter: dict[str, Any], open_tab: OpenTab
) -> None:
    """The state directory was not mounted yet: another, empty one was served for a moment."""
    tab = open_tab()
    tab.await_text(counter, "count 5")
    tower.stop()
    empty = TowerProcess(tower.home.with_name("t"), tower.env)
    empty.home.mkdir(mode=0o700)
    shutil.copy(tower.home / "key", empty.home / "key")
    try:
        empty.start()
        expect(tab.page.get_by_text("Nobody works here yet")).to_be_visible(timeout=20_000)
    finally:
        empty.stop()
    shown = tab.last_seen(counter)

    tower.start()

    assert tab.await_more(counter, shown) < SOON
    assert counts_whole(tab.numbers(counter))
    assert tab.loads() == 1


def test_restarts_in_a_row_leak_nothing_on_either_side(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    # Slow enough that it is not they who keep the machine from starting Towers.
    slow = COUNTER.replace("sleep 0.02", "sleep 0.1")
    agents = [tower.shell(workspace, slow, f"counter-{number}") for number in range(6)]
    tabs: list[Tab] = []
    for agent in agents:
        # Each on its own page: browsers count connections by host, over all pages.
        tabs.append(open_tab(f"#/shop/shell/{agent['name']}"))
        tabs[-1].await_text(agent, "count 1$")
    before = [tab.weight() for tab in tabs]
    connections = tower.connections()
    for number in range(RESTARTS):
        tower.stop()
        tower.start()
        for tab in tabs:
            if number % 2:
                # Every other time a person looks at them, which ends a pause too.
                tab.page.evaluate("window.dispatchEvent(new Event('focus'))")
        for tab in tabs:
            tab.await_link()

    for tab, agent in zip(tabs, agents, strict=True):
        tab.await_more(agent, (tab.numbers(agent) or [0])[-1] + 2)
        assert counts_whole(tab.numbers(agent))
        assert tab.loads() == 1
        assert len(tab.open_sockets) == 2, tab.open_sockets
    assert tower.eventually(lambda: tower.connections() <= connections, timeout=30)
    for tab, (listeners, documents) in zip(tabs, before, strict=True):
        now = tab.weight()
        # Seen: not one more. One that every other restart leaves behind is too many.
        assert now[0] < listeners + RESTARTS / 2, (now, listeners)
        assert now[1] <= documents


def test_a_long_outage_and_a_sleep_end_soon_after_the_tower_is_back(
    tower: TowerProcess, counter: dict[str, Any], context: BrowserContext, open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 5")
    tower.stop()
    tab.page.wait_for_timeout(OUTAGE * 1000)
    expect(tab.page.get_by_text("Reconnecting…")).to_be_visible()
    shown = tab.last_seen(counter)
    tower.start()
    assert tab.await_more(counter, shown) < SOON

    context.set_offline(True)
    tower.kill()
    tower.start()
    expect(tab.page.get_by_text("Reconnecting…")).to_be_visible(timeout=20_000)
    tab.page.wait_for_timeout(2000)
    shown = tab.last_seen(counter)
    context.set_offline(False)
    assert tab.await_more(counter, shown) < SOON

    assert counts_whole(tab.numbers(counter))
    assert tab.loads() == 1


def test_scroll_position_and_selection_stay_where_they_were(
    tower: TowerProcess, counter: dict[str, Any], open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 120")
    terminal = f"afx.sessions.get('{counter['id']}').screen.terminal"
    tab.page.evaluate(f"{terminal}.scrollToLine(10); {terminal}.select(0, 12, 8)")
    # xterm.js rounds to whole lines with its next frame.
    tab.page.evaluate("() => new Promise(then => requestAnimationFrame(() => requestAnimationFrame(then)))")
    place = tab.page.evaluate(f"{terminal}.buffer.active.viewportY")
    selected = tab.page.evaluate(f"{terminal}.getSelection()")
    assert selected.startswith("count ")
    assert place < 15
    shown = tab.numbers(counter)[-1]

    tower.stop()
    tower.start()

    tab.await_more(counter, shown + 30)
    assert tab.page.evaluate(f"{terminal}.buffer.active.viewportY") == place
    assert tab.page.evaluate(f"{terminal}.getSelection()") == selected


def test_keys_typed_while_the_tower_is_away_are_refused_for_all_to_see(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    script = (
        "stty -echo -icanon; one=$(dd bs=1 count=3 2>/dev/null); echo has $one;"
        " read two; echo got $one$two; sleep 1000"
    )
    agent = tower.shell(workspace, script, "reader")
    tab = open_tab()
    tab.await_status(agent, "live")
    tab.page.keyboard.type("one")
    tab.await_text(agent, "^has one$")
    tower.stop()
    expect(tab.page.get_by_text("Reconnecting…")).to_be_visible(timeout=20_000)

    tab.page.keyboard.type("lost")

    expect(tab.page.get_by_text("What you typed was not sent.")).to_be_visible()
    tower.start()
    tab.await_status(agent, "live")
    tab.page.keyboard.type("two\r")
    tab.await_text(agent, "^got onetwo$")


def test_a_programs_wish_to_erase_the_scrollback_is_not_granted(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    script = r"seq 1 200; printf '\033[H\033[2J\033[3J'; echo end; sleep 1000"
    agent = tower.shell(workspace, script, "eraser")
    tab = open_tab()

    tab.await_text(agent, "^end$")

    lines = tab.text(agent)
    assert [line for line in lines if line.isdigit()][:150] == [str(number) for number in range(1, 151)]


def test_a_full_reset_by_a_program_leaves_the_scrollback_and_pushes_the_screen_into_it(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    # In the alternate screen, with a scroll region and in bold; cut in two, and with a NUL in it.
    script = (
        r"seq 1 100; printf '\033[?1049h\033[3;5r\033[1m\033'; sleep 0.2; printf 'cone\033ctwo\033\000c\r\n';"
        r" seq 101 200; printf '\033cend\r\n'; sleep 1000"
    )
    agent = tower.shell(workspace, script, "resetter")
    tab = open_tab()

    tab.await_text(agent, "^end$")

    expected = [*map(str, range(1, 101)), "one", "two", *map(str, range(101, 201)), "end"]
    assert [line for line in tab.text(agent) if line] == expected
    terminal = f"afx.sessions.get('{agent['id']}').screen.terminal"
    assert tab.page.evaluate(f"{terminal}.buffer.active.cursorY") == 1
    # Read anew by another page, it is the same.
    again = open_tab("#/shop/shell/resetter")
    again.await_text(agent, "^end$")
    assert [line for line in again.text(agent) if line] == expected


def test_a_replay_answers_no_question_of_the_program_lesson_37(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    script = r"stty raw -echo; printf '\033[c\033[6n\033]11;?\007asked\r\n'; cat -v"
    agent = tower.shell(workspace, script, "asker")
    tab = open_tab()
    tab.await_text(agent, "asked")
    tower.stop()
    tower.start()
    tab.await_status(agent, "live")
    again = open_tab("#/shop/shell/asker")
    again.await_text(agent, "asked")
    again.page.keyboard.type("typed")

    again.await_text(agent, "typed")

    assert not any("^[" in line for line in again.text(agent)), again.text(agent)
