"""What it means for an agent that its program was found in a conversation."""

from __future__ import annotations

import pytest

from afx.tower.capture import News, judge


@pytest.mark.parametrize(
    ("found", "seen", "news"),
    [
        # Nothing can be told, or nothing is new.
        (None, None, News.NONE),
        (None, "mine", News.NONE),
        ("mine", "mine", News.NONE),
        ("new", "new", News.NONE),
        # The first look at a process: what is known is what it was started with.
        ("mine", None, News.NONE),
        ("older", None, News.NONE),
        # Chosen by the program, or begun by a person while the Tower was away.
        ("new", None, News.BEGUN),
        # Begun in the program, as by /clear; and an older one taken up again, as by /resume.
        ("new", "mine", News.BEGUN),
        ("older", "mine", News.TAKEN_UP),
        ("mine", "new", News.TAKEN_UP),
        # What is another agent's stays the other agent's.
        ("other", None, News.NONE),
        ("other", "mine", News.NONE),
    ],
)
def test_what_is_news(found: str | None, seen: str | None, news: News) -> None:
    assert judge(found, seen=seen, had=["mine", "older"], taken=["other"]) is news
