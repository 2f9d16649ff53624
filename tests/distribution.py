"""Distributions written to disk as an installer would leave them."""

from __future__ import annotations

import textwrap
from pathlib import Path


def write_distribution(site: Path, name: str, points: str, version: str = "1.0", **modules: str) -> None:
    """Write a distribution with entry points in the group afx and modules into a directory of packages."""
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[afx]\n{points}\n")
    for module, text in modules.items():
        (site / f"{module}.py").write_text(textwrap.dedent(text))


def write_plugin(
    site: Path, name: str, text: str, *, point: str = "", version: str = "1.0", **modules: str
) -> None:
    """Write a distribution afx-NAME with one plugin, of this text, in the module NAME_plugin.

    Its entry point is called like it unless `point` says otherwise.
    """
    module = f"{name.replace('-', '_')}_plugin"
    points = f"{point or name} = {module}"
    write_distribution(site, f"afx-{name}", points, version, **{module: text}, **modules)


HARNESS = """
    from afx.plugin import Command, HarnessEntry, HarnessProvider, hookimpl

    class Harness(HarnessProvider):
        name = {name!r}
        commands = ({name!r},)

        def launch(self, request):
            return Command(argv=({name!r},), env=request.env, cwd=request.cwd)

    @hookimpl
    def afx_harnesses():
        return [HarnessEntry(name={name!r}, summary="A harness.", factory=__name__ + ":Harness",
                             api_version={version}, commands=({name!r},))]
"""


def harness(name: str, version: int = 1) -> str:
    """Return the text of a plugin with one harness."""
    return HARNESS.format(name=name, version=version)
