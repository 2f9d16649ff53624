"""The graphics card draws the terminal that is worked in, where there is one, and may be lost at any time."""

from __future__ import annotations

import base64
import time

import pytest
from playwright.sync_api import Page, expect

from afx.testing.tower_process import TowerProcess

from .chromium import chromium
from .tab import Tab

# WebGL drawn by the processor stands in for a graphics card; the page leaves that alone by its name.
SOFTWARE = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
AS_A_CARD = """
    const { getContext } = HTMLCanvasElement.prototype, { getParameter } = WebGL2RenderingContext.prototype;
    HTMLCanvasElement.prototype.getContext = function (kind, wishes) {
        return getContext.call(this, kind, { ...wishes, failIfMajorPerformanceCaveat: false });
    };
    WebGL2RenderingContext.prototype.getParameter = function (name) {
        return name === 0x9246 ? 'A graphics card' : getParameter.call(this, name);
    };
"""
LOSE = """id => {
    for (const canvas of afx.sessions.get(id).screen.host.querySelectorAll('canvas'))
        canvas.getContext('webgl2')?.getExtension('WEBGL_lose_context').loseContext();
}"""
HAS_CARD = """id => [...afx.sessions.get(id).screen.host.querySelectorAll('canvas')]
    .some(canvas => canvas.getContext('webgl2')?.isContextLost() === false)"""
# How many dots of a picture are of the red of HAS_RED.
COUNT_RED = """async picture => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
    const plain = new OffscreenCanvas(image.width, image.height).getContext('2d');
    plain.drawImage(image, 0, 0);
    const { data } = plain.getImageData(0, 0, image.width, image.height);
    let red = 0;
    for (let at = 0; at < data.length; at += 4) red += data[at] > 240 && data[at + 1] < 20;
    return red;
}"""
HAS_RED = r"printf '\033[48;2;255;0;0m red text \033[0m and more\r\n'; exec cat"


def is_drawn(probe: Page, tab: Tab) -> None:
    """See on the page, as a person does, that the red is drawn."""
    deadline = time.monotonic() + 15
    while not probe.evaluate(COUNT_RED, base64.b64encode(tab.page.screenshot()).decode()) > 500:
        assert time.monotonic() < deadline, "nothing red is seen"


def test_the_card_draws_and_once_it_is_lost_the_text_is_still_there(
    tower: TowerProcess, workspace: str
) -> None:
    agent = tower.shell(workspace, HAS_RED, "one")
    other = tower.shell(workspace, "echo other; exec cat", "other")
    with chromium(SOFTWARE) as browser:
        context = browser.new_context(viewport={"width": 800, "height": 300})
        probe = context.new_page()
        if not probe.evaluate("Boolean(document.createElement('canvas').getContext('webgl2'))"):
            pytest.skip("This Chromium has no WebGL 2, not even by the processor.")

        # Drawn by the processor, it is slower than the page's own elements, and left alone.
        plain = Tab(context, tower, "#/shop/shell/one")
        plain.await_text(agent, "red text")
        expect(plain.page.locator(".xterm-rows")).to_contain_text("red text")
        plain.page.close()

        context.add_init_script(AS_A_CARD)
        tab = Tab(context, tower, "#/shop/shell/one")
        tab.await_text(agent, "red text")
        tab.page.wait_for_function(HAS_CARD, arg=agent["id"])
        rows = tab.page.locator(f"#pane-{agent['id']} .xterm-rows")
        expect(rows).to_have_count(0)
        is_drawn(probe, tab)

        # Only what is worked in has a card: a browser has contexts for a few only.
        tab.go(other)
        tab.await_text(other, "other")
        expect(rows).to_have_count(1)
        tab.go(agent)
        expect(rows).to_have_count(0)

        tab.page.evaluate(LOSE, agent["id"])
        expect(rows).to_contain_text("red text and more", timeout=15_000)
        is_drawn(probe, tab)
        tab.page.keyboard.type("typed later\r")
        expect(rows).to_contain_text("typed later")
        for conduct in (plain.conduct, tab.conduct):
            # xterm.js warns of the loss, and of frames that a processor takes its time for.
            conduct.wrong = [one for one in conduct.wrong if not one.startswith("warning: ")]
            conduct.check()
