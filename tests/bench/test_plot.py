"""The picture of how things grow."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.plot import draw
from benchmarks.table import Finding

SVG = "{http://www.w3.org/2000/svg}"


def grown(what: str, value: float) -> Finding:
    return Finding(figure="growth", what=what, value=value, unit="s")


def test_a_line_for_each_kind_of_crowd_in_a_panel_for_each_thing() -> None:
    sizes = {0: 0.3, 100: 0.35, 300: 0.6}
    findings = [
        grown(f"{thing}, {size} {kind}", value)
        for thing in ("seconds to ready", "MB of the Tower")
        for kind in ("idle", "with 1 MiB")
        for size, value in sizes.items()
    ]
    picture = ET.fromstring(draw(findings))  # noqa: S314 - our own
    lines = picture.findall(f".//{SVG}polyline")
    assert len(lines) == 4
    assert lines[0].get("points") == "0.0,110.0 113.3,91.7 340.0,0.0"
    said = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"seconds to ready", "MB of the Tower", "idle", "with 1 MiB", "300", "0.6"} <= set(said)
