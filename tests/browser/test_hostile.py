"""What a program prints stays in its terminal: no clipboard, no title, no link but to a web page."""

from __future__ import annotations

from playwright.sync_api import expect

from afx.testing.tower_process import TowerProcess

from .conftest import OpenTab

# A clipboard to write and one to read, titles, links of several kinds, markup.
HOSTILE = r"""
read -r _
printf '\033]52;c;cm0gLXJmIH4K\007\033]52;p;cm0gLXJmIH4K\033\\\033]52;c;?\007'
printf '\033]0;pwned\007\033]2;pwned\007\033]1;pwned\007'
printf '\033]8;;javascript:document.title="pwned"\007evil-one\033]8;;\007\r\n'
printf '\033]8;;file:///etc/passwd\007evil-two\033]8;;\007\r\n'
printf '\033]8;;https://example.org/page\007good-one\033]8;;\007\r\n'
printf '<script>document.title="pwned"</script><img src=x onerror=document.title="pwned">\r\nall is said\r\n'
exec cat -v
"""
WATCH = """() => {
    window.seen = []
    navigator.clipboard.writeText = async text => { seen.push(`clipboard ${text}`) }
    navigator.clipboard.write = async () => { seen.push('clipboard') }
    navigator.clipboard.readText = async () => { seen.push('read'); return 'secret' }
    window.open = address => { seen.push(`open ${address}`); return null }
}"""


def test_hostile_output_reaches_nothing_outside_its_terminal(
    tower: TowerProcess, workspace: str, open_tab: OpenTab
) -> None:
    agent = tower.shell(workspace, HOSTILE, "hostile")
    tab = open_tab("#/shop/shell/hostile")
    tab.await_status(agent, "live")
    title, address = tab.page.title(), tab.page.url
    dialogs: list[str] = []
    tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    tab.page.evaluate(WATCH)
    tab.page.keyboard.press("Enter")
    tab.await_text(agent, "^all is said$")
    rows = tab.page.locator(".xterm-rows")
    for link in ("evil-one", "evil-two", "good-one"):
        # Clicked where it stands, since over the text lies what takes the mouse.
        text = rows.get_by_text(link).first
        expect(text).to_be_visible()
        place = text.bounding_box()
        assert place is not None, link
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        tab.page.mouse.move(x - 3, y)
        tab.page.mouse.move(x, y)
        tab.page.mouse.click(x, y)
        tab.page.mouse.move(x, y + 200)
    tab.page.wait_for_function("seen.length > 0")
    assert tab.page.evaluate("seen") == ["open https://example.org/page"]
    assert (tab.page.title(), tab.page.url, dialogs) == (title, address, [])
    assert tab.page.locator("img").count() == 0
    output = tower.request("GET", f"/api/terminals/{agent['terminal']['id']}/output")
    assert b"]52;c;c2VjcmV0" not in bytes(output).partition(b"all is said")[2], "no clipboard was sent back"
