"""Pages whose cookie no longer counts say so, and go on by themselves once one of them is let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from afx.testing.tower_process import TowerProcess

from .conftest import SOON, OpenTab, counts_whole


@pytest.mark.parametrize("key", ["another", None])
def test_a_cookie_that_is_no_good_any_more_leads_to_signing_in_again(
    tower: TowerProcess, counter: dict[str, Any], open_tab: OpenTab, key: str | None
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 5")
    tower.stop()
    shown = tab.last_seen(counter)
    Path(tower.home, "key").unlink()
    if key is not None:
        path = Path(tower.home, "key")
        path.touch(mode=0o600)
        path.write_text(key * 8)
    tower.start()
    expect(tab.page.get_by_text("You are signed out.")).to_be_visible(timeout=20_000)
    expect(tab.page.get_by_text("afx open")).to_be_visible()

    code = tower.request("POST", "/api/login-codes")["code"]
    tab.page.evaluate("code => { location.hash = `code=${code}` }", code)

    assert tab.await_more(counter, shown) < 2 * SOON
    assert counts_whole(tab.numbers(counter))
    assert "code=" not in tab.page.url
    assert tab.loads() == 1


def change_key(tower: TowerProcess) -> None:
    """Start a Tower again with another key, as SECURITY.md says it."""
    tower.stop()
    Path(tower.home, "key").unlink()
    tower.start()


def test_pages_that_were_signed_out_go_on_by_themselves_once_another_one_is_let_in(
    tower: TowerProcess, counter: dict[str, Any], context: BrowserContext, open_tab: OpenTab
) -> None:
    tabs = [open_tab(), open_tab()]
    for tab in tabs:
        tab.await_text(counter, "count 5")
    # Nobody looks at the second one, so that it does not ask by itself.
    tabs[1].page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})")
    change_key(tower)
    stranger = context.new_page()
    stranger.goto(tower.url)
    for page in (*(tab.page for tab in tabs), stranger):
        expect(page.get_by_text("afx open")).to_be_visible(timeout=20_000)
    shown = [tab.numbers(counter)[-1] for tab in tabs]
    expect(tabs[0].page).to_have_title("Signed out · afx")

    code = tower.request("POST", "/api/login-codes")["code"]
    context.new_page().goto(f"{tower.url}/#code={code}")

    for tab, last in zip(tabs, shown, strict=True):
        assert tab.await_more(counter, last) < SOON
        assert counts_whole(tab.numbers(counter))
        assert tab.loads() == 1
        assert len(tab.open_sockets) == 2, tab.open_sockets
    expect(stranger.locator("[data-tower=live]")).to_be_visible()
    expect(tabs[0].page).to_have_title("shell/counter · shop · afx")


def test_a_page_that_is_seen_asks_by_itself_whether_it_may_come_in_again(
    tower: TowerProcess, counter: dict[str, Any], context: BrowserContext, open_tab: OpenTab
) -> None:
    tab = open_tab()
    tab.await_text(counter, "count 5")
    change_key(tower)
    expect(tab.page.get_by_text("You are signed out.")).to_be_visible(timeout=20_000)
    shown = tab.numbers(counter)[-1]

    # The cookie comes, and no page says so.
    code = tower.request("POST", "/api/login-codes")["code"]
    assert context.request.post(f"{tower.url}/api/login", data={"code": code}).ok

    assert tab.await_more(counter, shown, timeout=10) < 3 + SOON
    assert counts_whole(tab.numbers(counter))
    # Looked at again and again meanwhile, it still has one line for events and one for its terminal.
    assert len(tab.open_sockets) == 2, tab.open_sockets


def test_a_cookie_that_goes_while_the_tower_stays_is_noticed_with_the_next_news(
    tower: TowerProcess, workspace: str, counter: dict[str, Any], context: BrowserContext, open_tab: OpenTab
) -> None:
    tab = open_tab("#/shop/shell/counter")
    tab.await_text(counter, "count 5")
    context.clear_cookies()

    tower.shell(workspace, "sleep 1000", "news")

    expect(tab.page.get_by_text("You are signed out.")).to_be_visible()
    for _ in range(3):
        tab.page.evaluate("window.dispatchEvent(new Event('focus'))")
    code = tower.request("POST", "/api/login-codes")["code"]
    context.new_page().goto(f"{tower.url}/#code={code}")
    expect(tab.page.locator(".agent", has_text="news")).to_be_visible()
    tab.await_more(counter, tab.numbers(counter)[-1])
    assert counts_whole(tab.numbers(counter))
    assert len(tab.open_sockets) == 2, tab.open_sockets
