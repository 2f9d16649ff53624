"""What a person sees and can do: signing in, agents, palette, dialogs, phones, and those who use no mouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from afx.testing.tower_process import TowerProcess
from e2e.conftest import make_repository
from web.sources import installed_web

from .conftest import OpenTab

_SERIOUS = {"serious", "critical"}


def faults(page: Page) -> list[str]:
    """Return the serious faults that axe finds in what a page shows."""
    page.evaluate((installed_web() / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {[(node['html'][:120], node['failureSummary'][:300]) for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in _SERIOUS
    ]


@pytest.fixture
def team(tower: TowerProcess, workspace: str) -> dict[str, dict[str, Any]]:
    """An architect, a builder, a shell that failed and one that was stopped."""
    for kind, name, task in (("architect", "main", None), ("builder", "login", "Add a login page")):
        tower.request(
            "POST", "/api/agents", {"workspace": workspace, "kind": kind, "name": name, "task": task}
        )
    tower.shell(workspace, "echo the last words; exit 3", "broken")
    halted = tower.shell(workspace, "sleep 1000", "halted")
    tower.request("POST", f"/api/agents/{halted['id']}/stop")
    tower.eventually(lambda: tower.agents()["shell/broken"]["state"] == "crashed")
    agents: dict[str, dict[str, Any]] = {agent["name"]: agent for agent in tower.agents().values()}
    return agents


def test_the_plain_address_says_which_command_lets_one_in(
    tower: TowerProcess, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(tower.url)

    expect(page.get_by_text("afx open")).to_be_visible()
    assert faults(page) == []


def test_a_code_lets_one_browser_in_once_and_leaves_the_address(
    tower: TowerProcess, browser: Browser
) -> None:
    code = tower.request("POST", "/api/login-codes")["code"]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{tower.url}/#code={code}")
    expect(page.locator("[data-tower=live]")).to_be_visible()
    assert code not in page.url
    cookie = context.cookies()[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    context.close()

    stranger = browser.new_context()
    page = stranger.new_page()
    page.goto(f"{tower.url}/#code={code}")
    expect(page.get_by_text("afx open")).to_be_visible()
    stranger.close()


def test_an_empty_page_teaches_the_first_step(open_tab: OpenTab) -> None:
    tab = open_tab()
    expect(tab.page.get_by_text("afx up")).to_be_visible()
    assert faults(tab.page) == []


@pytest.mark.usefixtures("team")
def test_agents_are_listed_with_a_word_and_a_symbol(open_tab: OpenTab) -> None:
    tab = open_tab()
    listed = tab.page.locator(".agent").all_inner_texts()
    names = [entry.split()[:3] for entry in listed]
    assert [name[1:] for name in names] == [
        ["architect", "main"],
        ["builder", "login"],
        ["shell", "broken"],
        ["shell", "halted"],
    ]
    assert names[2][0] == "✕"
    assert names[3][0] == "■"
    assert "builder/login" in listed[1]
    assert "claude" in listed[1]
    assert "crashed" in listed[2]
    assert tab.page.title().startswith("(1) ")


def test_an_ended_agent_shows_its_last_screen_why_it_ended_and_one_button(
    team: dict[str, dict[str, Any]], open_tab: OpenTab
) -> None:
    tab = open_tab("#/shop/shell/broken")
    tab.await_text(team["broken"], "the last words")
    ending = tab.page.locator(".ending")
    expect(ending).to_contain_text("Crashed.")
    expect(ending).to_contain_text("exit code 3")
    expect(ending.get_by_role("button")).to_have_text("Start again")
    tab.go(team["halted"])
    expect(tab.page.locator("#pane-" + team["halted"]["id"]).get_by_text("Stopped.")).to_be_visible()


def test_an_address_of_nobody_is_said_and_not_kept(
    tower: TowerProcess, team: dict[str, dict[str, Any]], open_tab: OpenTab
) -> None:
    tab = open_tab("#/shop/architect/main")
    tab.await_status(team["main"], "live")
    for nobody in ("#/shop/shell/nosuch", "#/%ZZ/%"):
        tab.page.evaluate("hash => { location.hash = hash }", nobody)
        expect(tab.page.get_by_text(f"There is no agent at {nobody[2:]}.")).to_be_visible()
        expect(tab.page).to_have_url(f"{tower.url}/#/shop/architect/main")
    late = open_tab("#/shop/shell/removed")
    expect(late.page.get_by_text("There is no agent at shop/shell/removed.")).to_be_visible()


def test_everything_is_reached_by_keys_alone(
    tower: TowerProcess, team: dict[str, dict[str, Any]], open_tab: OpenTab
) -> None:
    tab = open_tab("#/shop/architect/main")
    keyboard = tab.page.keyboard
    tab.await_status(team["main"], "live")
    keyboard.type("hello\r")
    tab.await_text(team["main"], "heard 1: hello")

    keyboard.press("Control+k")
    keyboard.type("go builder/log")
    expect(tab.page.get_by_text("Nothing fits.")).to_be_visible()
    keyboard.press("Control+a")
    keyboard.type("log")
    keyboard.press("Enter")
    tab.await_text(team["login"], "heard 1: Add a login page")
    expect(tab.page).to_have_url(f"{tower.url}/#/shop/builder/login")
    keyboard.press("Control+Shift+ArrowUp")
    expect(tab.page).to_have_url(f"{tower.url}/#/shop/architect/main")

    keyboard.press("F6")
    expect(tab.page.locator(".agent[aria-current]")).to_be_focused()
    keyboard.press("F6")

    keyboard.press("Control+k")
    keyboard.type("stop builder/login")
    keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", name="Stop builder/login?")).to_be_visible()
    tab.page.get_by_role("button", name="Stop it").press("Enter")
    tower.eventually(lambda: tower.agents()["builder/login"]["state"] == "stopped")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)


def test_ctrl_k_twice_is_for_the_program(tower: TowerProcess, workspace: str, open_tab: OpenTab) -> None:
    agent = tower.shell(workspace, "stty raw -echo; cat -v", "echo")
    tab = open_tab()
    tab.await_status(agent, "live")
    tab.page.keyboard.press("Control+k")
    expect(tab.page.get_by_role("combobox")).to_be_focused()
    tab.page.keyboard.press("Control+k")
    tab.await_text(agent, r"\^K")


def test_an_agent_is_spawned_and_cleaned_up_with_a_word_about_what_would_be_lost(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.page.get_by_role("button", name="Spawn an agent").first.click()
    tab.page.get_by_label("Task").fill("Add a cart")
    tab.page.get_by_label("Name").fill("../cart")
    tab.page.get_by_role("button", name="Spawn", exact=True).click()
    alert = tab.page.get_by_role("alert")
    expect(alert).to_contain_text("'../cart' cannot be the name of a builder.")
    expect(alert.locator("code").first).to_have_text("..")
    # The browser itself tells of every request that is refused.
    assert ["status of 400" in said for said in tab.conduct.wrong] == [True]
    tab.conduct.wrong.clear()
    tab.page.get_by_label("Name").fill("cart")
    expect(alert).to_have_count(0)
    assert faults(tab.page) == []
    tab.page.get_by_role("button", name="Spawn", exact=True).click()
    tower.eventually(lambda: "builder/cart" in tower.agents())
    agent = tower.agents()["builder/cart"]
    tab.await_text(agent, "heard 1: Add a cart")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)
    Path(agent["cwd"], "cart.py").write_text("# the cart\n")

    tab.page.evaluate("id => afx.open({kind: 'cleanup', agent: id})", agent["id"])
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("This would be lost: 1 file not in git")
    clean_up = dialog.get_by_role("button", name="Clean up")
    expect(clean_up).to_be_disabled()
    assert faults(tab.page) == []
    dialog.get_by_label("Lose it").check()
    clean_up.click()

    tower.eventually(lambda: "builder/cart" not in tower.agents())
    assert not Path(agent["cwd"]).exists()
    assert Path(workspace).exists()


def test_agents_are_recovered_after_a_look_at_the_plan(
    tower: TowerProcess, architect: dict[str, Any], open_tab: OpenTab
) -> None:
    tower.eventually(
        lambda: b"heard 1" in tower.request("GET", f"/api/terminals/{architect['terminal']['id']}/output")
    )
    tower.stop()
    tower.end_everything()
    tower.start()
    tab = open_tab()

    tab.page.get_by_role("button", name="Recover 1").click()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Recover agents in shop")
    expect(dialog).to_contain_text("would be resumed")
    expect(dialog).to_contain_text("stored")
    assert tower.agents()["architect/main"]["state"] == "lost"
    assert faults(tab.page) == []
    dialog.get_by_role("button", name="Bring back 1").click()

    expect(dialog).to_contain_text("revived", timeout=20_000)
    assert tower.agents()["architect/main"]["state"] == "running"


def test_of_what_has_one_name_in_two_workspaces_it_is_said_in_which(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    other = make_repository(Path(tower.home.parent, "blog"))
    tower.request("POST", "/api/workspaces", {"path": other})
    agents = [
        tower.shell(place, "exec sleep 1000", name)
        for place, name in ((workspace, "dev"), (other, "dev"), (other, "log"))
    ]
    tab = open_tab("#/shop/shell/dev")
    for agent in agents:
        tab.go(agent)
    labels = tab.page.locator(".tab .label")
    assert sorted(labels.all_inner_texts()) == ["dev · blog", "dev · shop", "log"]

    tab.page.keyboard.press("Control+k")
    tab.page.keyboard.type("stop shell/dev blog")
    expect(tab.page.get_by_role("option")).to_have_count(1)
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("button", name="Stop it").press("Enter")
    tower.eventually(lambda: state_of(tower, agents[1]) == "stopped")
    assert state_of(tower, agents[0]) == "running"

    tab.page.evaluate("id => afx.open({kind: 'cleanup', agent: id})", agents[2]["id"])
    # A shell has neither of them.
    expect(tab.page.get_by_role("dialog")).not_to_contain_text("conversation")
    expect(tab.page.get_by_role("dialog")).not_to_contain_text("worktree")


def state_of(tower: TowerProcess, agent: dict[str, Any]) -> str:
    """Return an agent's state, whatever other agents are called."""
    state = tower.request("GET", "/api/state")
    return next(
        str(one["state"])
        for workspace in state["workspaces"]
        for one in workspace["agents"]
        if one["id"] == agent["id"]
    )


def test_all_terminals_are_watched_at_once_without_changing_their_size(
    tower: TowerProcess, workspace: str, team: dict[str, dict[str, Any]], open_tab: OpenTab
) -> None:
    tab = open_tab("#/shop/shell/halted")
    tab.await_status(team["main"], "live")
    before = sizes(tower)
    tab.page.get_by_role("button", name="All terminals at a glance").click()

    tab.await_text(team["login"], "heard 1")
    tab.await_text(team["broken"], "the last words")
    assert tab.page.locator(".pane:visible").count() == 4
    assert sizes(tower) == before
    assert faults(tab.page) == []
    late = tower.shell(workspace, "echo came later; sleep 1000", "late")
    tab.await_text(late, "came later")
    tab.page.locator(".caption", has_text="login").click()
    expect(tab.page).to_have_url(f"{tower.url}/#/shop/builder/login")
    # What was only watched is let go of, and leaves no tab behind.
    expect(tab.page.locator(".tab")).to_have_count(3)
    assert tab.page.evaluate("afx.sessions.size") == 3


def test_of_many_terminals_those_in_view_are_watched_and_each_is_big_enough_to_read(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    many = 30
    script = "echo I am here; sleep 1000"
    agents = [tower.shell(workspace, script, f"shell-{number:02}") for number in range(many)]
    tab = open_tab("#/shop/shell/shell-00")
    tab.await_status(agents[0], "live")
    tab.page.keyboard.press("Control+Shift+G")
    tab.await_text(agents[1], "^I am")
    expect(tab.page.locator(".pane:visible")).to_have_count(many)
    boxes = [tile.bounding_box() for tile in tab.page.locator(".pane").all()]
    assert all(box and box["width"] >= 400 and box["height"] >= 300 for box in boxes), boxes
    fonts = "[...afx.sessions.values()].map(session => session.screen.terminal.options.fontSize)"
    assert min(tab.page.evaluate(fonts)) >= 9

    def watched(most: int) -> set[str]:
        """Wait until no more terminals are followed, and have sockets and screens; return whose they are."""
        tab.page.wait_for_function("most => afx.sessions.size <= most", arg=most)
        ids: list[str] = tab.page.evaluate("[...afx.sessions.keys()]")
        for one in ids:
            tab.await_status({"id": one}, "live")
        expect(tab.page.locator(".xterm")).to_have_count(len(ids))
        assert len(tab.open_sockets) == len(ids) + 1, "and one for events"
        return set(ids)

    # Three rows of two, and the next one.
    assert {agent["id"] for agent in agents[:6]} <= watched(8)

    # Wherever one scrolls to, there is something to see; what is out of view is let go of.
    tab.page.locator(".panes").evaluate("panes => panes.scrollTo(0, panes.scrollHeight)")
    tab.await_text(agents[-1], "^I am")
    assert {agent["id"] for agent in (agents[0], *agents[-6:])} <= watched(9), "the first has a tab"
    tab.page.locator(f"#pane-{agents[-1]['id']} .mount").click(force=True)
    expect(tab.page).to_have_url(f"{tower.url}/#/shop/shell/shell-29")
    assert watched(2) == {agents[0]["id"], agents[-1]["id"]}


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_has_room_for_all_of_it(
    browser: Browser,
    tower: TowerProcess,
    workspace: str,
    team: dict[str, dict[str, Any]],
    open_tab: OpenTab,
    scheme: Any,
) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True, color_scheme=scheme
    )
    tab = open_tab("#/shop/architect/main", context=context)
    tab.await_status(team["main"], "live")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(tab.page) == []

    tab.page.get_by_role("button", name="Agents").tap()
    tab.page.locator(".agent", has_text="login").tap()
    tab.await_text(team["login"], "heard 1")
    bar = tab.page.get_by_role("toolbar", name="Keys")
    for key in ("Esc", "Tab", "Left", "Up", "Down", "Right"):
        expect(bar.get_by_role("button", name=key)).to_be_visible()
    # Ctrl, then D: the fake agent ends.
    bar.get_by_role("button", name="Ctrl").tap()
    tab.page.keyboard.type("d")
    tower.eventually(lambda: tower.agents()["builder/login"]["state"] == "exited")

    # With more tabs than there is room for, and with more words at the top.
    late = tower.shell(workspace, "exec sleep 1000", "with-a-rather-long-name")
    expect(tab.page.locator(".agent", has_text="rather-long")).to_be_attached()
    for agent in (late, *team.values()):
        tab.go(agent)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    tower.stop()
    expect(tab.page.get_by_text("Reconnecting…")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    tab.conduct.check()
    context.close()


def test_a_notification_comes_when_an_agent_needs_somebody_and_not_before_it_was_asked_for(
    tower: TowerProcess, workspace: str, context: BrowserContext, open_tab: OpenTab
) -> None:
    context.add_init_script("""
        window.notified = [];
        window.Notification = class { constructor(title) { notified.push(title); } };
        Notification.permission = 'default';
        Notification.requestPermission = async () => (Notification.permission = 'granted');
    """)
    script = "read line; exit 1"
    one, two, three = (tower.shell(workspace, script, name) for name in ("one", "two", "three"))
    tab = open_tab("#/shop/shell/one")
    tab.await_status(one, "live")
    end_by_enter(tower, two)
    expect(tab.page.locator(".agent", has_text="two")).to_contain_text("crashed")
    assert tab.page.evaluate("notified") == []

    tab.page.get_by_role("button", name="Notify me").click()
    expect(tab.page.get_by_text("You are notified when")).to_be_visible()
    end_by_enter(tower, three)

    tab.page.wait_for_function("() => notified.length > 0")
    assert tab.page.evaluate("notified") == ["shell/three crashed"]
    assert tab.page.title().startswith("(2) ")

    tab.page.get_by_role("button", name="Notify me").click()
    expect(tab.page.get_by_text("You are not notified any more.")).to_be_visible()
    tab.page.evaluate("Notification.requestPermission = async () => (Notification.permission = 'denied')")
    tab.page.get_by_role("button", name="Notify me").click()
    expect(tab.page.get_by_text("The browser does not let this page notify you.")).to_be_visible()


def sizes(tower: TowerProcess) -> dict[str, Any]:
    return {name: agent["terminal"]["size"] for name, agent in tower.agents().items() if agent["terminal"]}


def end_by_enter(tower: TowerProcess, agent: dict[str, Any]) -> None:
    tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "end"})


def test_a_program_is_searched_for_words(tower: TowerProcess, workspace: str, open_tab: OpenTab) -> None:
    agent = tower.shell(workspace, "echo needle; seq 1 300; sleep 1000", "hay")
    tab = open_tab()
    tab.await_text(agent, "^300$")
    tab.page.keyboard.press("Control+Shift+F")
    tab.page.keyboard.type("needle")
    tab.page.keyboard.press("Enter")
    terminal = f"afx.sessions.get('{agent['id']}').screen.terminal"
    tab.page.wait_for_function(f"() => {terminal}.getSelection() === 'needle'")
    tab.page.keyboard.type("s and pins")
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_text("Nothing found.")).to_be_attached()
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_role("search")).to_have_count(0)
