"""The pictures in the documentation can be made, and CI keeps those of every run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from playwright.sync_api import Browser

from .screenshots import shop, take

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def test_every_picture_in_the_documentation_is_one_that_the_script_makes(
    browser: Browser, tmp_path: Path
) -> None:
    directory = Path(os.environ.get("AFX_TEST_ARTIFACTS") or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    with shop() as tower:
        take(browser, tower, directory, "dark")

    made = {path.name for path in directory.glob("page-*-dark.png")}
    shown = {re.sub("-light", "-dark", path.name) for path in IMAGES.glob("page-*.png")}
    assert shown
    assert shown <= made
    for document in (IMAGES.parent / "how-to" / "web-page.md", IMAGES.parents[1] / "README.md"):
        for name in re.findall(r"images/(page-[\w-]+\.png)", document.read_text(encoding="utf-8")):
            assert (IMAGES / name).is_file(), name
