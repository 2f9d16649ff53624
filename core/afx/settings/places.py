"""Where the person's own settings and the state directory are. Nothing is made here, and nothing is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from afx.api.errors import BadInputError


def config_file(env: Mapping[str, str] = os.environ) -> Path:
    """Return where the person's own settings stand, whether or not the file is there."""
    if given := env.get("AFX_CONFIG"):
        return Path(given)
    base = env.get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):
        return Path(base) / "afx/config.toml"
    import platformdirs

    return platformdirs.user_config_path("afx") / "config.toml"


def state_directory(env: Mapping[str, str] = os.environ) -> Path:
    """Return the state directory: ``$AFX_HOME``, else the platform's directory for state.

    Raises:
        BadInputError: It is no absolute path, or lies where logging out wipes it.
    """
    if given := env.get("AFX_HOME"):
        if not given.startswith("/"):
            raise BadInputError(
                f"AFX_HOME is {given!r}, which is no absolute path.", hint="Write it from / on."
            )
        directory = Path(os.path.normpath(given))
    elif (base := env.get("XDG_STATE_HOME", "")).startswith("/"):
        directory = Path(base) / "afx"
    else:
        import platformdirs

        directory = platformdirs.user_state_path("afx")
    # Terminals outlive a logout. Were their sockets wiped by it, nobody would find them again.
    for runtime in (env.get("XDG_RUNTIME_DIR"), "/run/user", "/var/run/user"):
        if runtime and directory.is_relative_to(runtime):
            raise BadInputError(
                f"The state directory {directory} lies in {runtime}, which is wiped at logout.",
                hint="Set AFX_HOME to a directory that stays.",
            )
    return directory
