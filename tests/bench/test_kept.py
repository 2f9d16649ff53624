"""What has become worse since the last release."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from benchmarks.kept import ratio, read, worse
from benchmarks.table import Beside, Finding, print_json


def found(value: float, beside: float | None = 10.0, unit: str = "ms") -> Finding:
    return Finding(
        figure="spawn", what="a start", value=value, unit=unit, beside=(Beside("another", beside),)
    )


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        pytest.param(found(10), found(13), [], id="a little slower"),
        pytest.param(found(10), found(14), ["1.40 times as bad"], id="slower by more than a third"),
        pytest.param(found(10), found(28, 20), ["1.40 times as bad"], id="what stands beside it counts"),
        pytest.param(found(10), found(20, 20), [], id="a slower machine is not worse"),
        pytest.param(found(10, unit="MB/s"), found(5, unit="MB/s"), ["2.00 times"], id="less of a rate"),
        pytest.param(found(5, unit="MB/s"), found(10, unit="MB/s"), [], id="more of a rate"),
        pytest.param(found(10), found(90, None), [], id="nothing beside it"),
        pytest.param(found(10, None), found(90), [], id="nothing beside it then"),
    ],
)
def test_worse(before: Finding, now: Finding, told: list[str]) -> None:
    sentences = worse([before], [now])
    assert len(sentences) == len(told)
    assert all(part in sentence for part, sentence in zip(told, sentences, strict=True))


def test_what_is_new_is_not_worse() -> None:
    assert worse([], [found(10)]) == []


def test_ratio_without_anything_beside() -> None:
    assert ratio(found(10, None)) is None


def test_findings_are_read_as_they_are_kept(tmp_path: Path) -> None:
    stream = io.StringIO()
    print_json([found(1), found(2)], stream)
    path = tmp_path / "kept.jsonl"
    path.write_text(stream.getvalue(), encoding="utf-8")
    assert read(path) == [found(1), found(2)]
