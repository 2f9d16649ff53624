"""The real agent programs, settled in fresh homes: they ask nothing, and talk to models on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from afx_harness_claude.provider import ClaudeHarness
from afx_harness_codex.provider import CodexHarness
from afx_harness_gemini.provider import GeminiHarness
from afx_harness_opencode.provider import OpenCodeHarness

from . import anthropic_server, chat_server, codex_server, gemini_server
from .model_server import ModelServer
from .npm import installed


class Program(NamedTuple):
    """One program.

    Attributes:
        package: Its package of npm.
        version: The one that is tried; the environment may name another, as in AFX_TEST_CLAUDE=2.1.197.
        serve: Runs a model server that speaks its language.
        settle: Given a home, a workspace that it is to trust and the server's address, writes its settings
            and returns what it needs in its environment.
    """

    name: str
    package: str
    version: str
    serve: Callable[[], AbstractContextManager[ModelServer]]
    settle: Callable[[Path, Path, str], dict[str, str]]

    def install(self, npm_home: Path) -> Path:
        """Return the path of the program, installed from npm where it is not in the cache."""
        return installed(self.name, f"{self.package}@{self.version}", self.version, npm_home)

    def environment(self, executable: Path, home: Path, workspace: Path, url: str) -> dict[str, str]:
        """Return an environment in which it asks nothing in a workspace and talks to the model server."""
        # Codex keeps helpers in its home, and wants that not to lie where things are put for a moment.
        passing = home / "tmp"
        passing.mkdir(parents=True, exist_ok=True)
        return {
            "HOME": str(home),
            "PATH": f"{executable.parent}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "SHELL": "/bin/sh",
            "TMPDIR": str(passing),
            "no_proxy": "127.0.0.1",
            **self.settle(home, workspace.resolve(), url),
        }


def _settle_claude(home: Path, workspace: Path, url: str) -> dict[str, str]:
    trusted = {str(workspace): {"hasTrustDialogAccepted": True}}
    settings = {"hasCompletedOnboarding": True, "projects": trusted}
    (home / ".claude.json").write_text(json.dumps(settings), encoding="utf-8")
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "not-a-secret",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "IS_SANDBOX": "1",
    }


def _settle_codex(home: Path, workspace: Path, url: str) -> dict[str, str]:
    directory = home / "codex-home"
    directory.mkdir(exist_ok=True)
    settings = f"""
        check_for_update_on_startup = false
        model = "gpt-5"
        model_provider = "loopback"
        [model_providers.loopback]
        name = "loopback"
        base_url = "{url}/v1"
        wire_api = "responses"
        env_key = "LOOPBACK_KEY"
        [features]
        apps = false
        plugins = false
        [analytics]
        enabled = false
        [projects.{json.dumps(str(workspace), ensure_ascii=False)}]
        trust_level = "trusted"
    """
    (directory / "config.toml").write_text(settings, encoding="utf-8")
    return {"CODEX_HOME": str(directory), "LOOPBACK_KEY": "not-a-secret"}


def _settle_gemini(home: Path, workspace: Path, url: str) -> dict[str, str]:
    directory = home / ".gemini"
    directory.mkdir(exist_ok=True)
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False, "sessionRetention": {"enabled": True}},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (directory / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    trusted = {str(workspace): "TRUST_FOLDER"}
    (directory / "trustedFolders.json").write_text(json.dumps(trusted), encoding="utf-8")
    return {"GEMINI_API_KEY": "not-a-secret", "GOOGLE_GEMINI_BASE_URL": url}


def _settle_opencode(home: Path, workspace: Path, url: str) -> dict[str, str]:
    del workspace
    directory = home / ".config/opencode"
    directory.mkdir(parents=True, exist_ok=True)
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "loopback",
        "options": {"baseURL": f"{url}/v1", "apiKey": "not-a-secret"},
        "models": {"loopback": {"name": "loopback"}},
    }
    settings = {
        "autoupdate": False,
        "model": "loopback/loopback",
        "small_model": "loopback/loopback",
        "provider": {"loopback": provider},
    }
    (directory / "opencode.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def _version(name: str, checked: tuple[str, ...]) -> str:
    return os.environ.get(f"AFX_TEST_{name.upper()}", checked[0])


CLAUDE = Program(
    "claude",
    "@anthropic-ai/claude-code",
    _version("claude", ClaudeHarness.checked_versions),
    anthropic_server.serve,
    _settle_claude,
)
CODEX = Program(
    "codex",
    "@openai/codex",
    _version("codex", CodexHarness.checked_versions),
    codex_server.serve,
    _settle_codex,
)
GEMINI = Program(
    "gemini",
    "@google/gemini-cli",
    _version("gemini", GeminiHarness.checked_versions),
    gemini_server.serve,
    _settle_gemini,
)
OPENCODE = Program(
    "opencode",
    "opencode-ai",
    _version("opencode", OpenCodeHarness.checked_versions),
    chat_server.serve,
    _settle_opencode,
)
