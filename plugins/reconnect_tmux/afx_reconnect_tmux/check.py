"""The check of `afx doctor` for tmux: whether it is installed and new enough for what afx asks of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from afx.plugin import DoctorCheck, DoctorContext, Finding
from afx_holding.tower.places import Place

from .tmux import check_version

_ANSWER_WITHIN = 5.0
_INSTALL = "Install tmux, or set terminal.strategy to another reconnect strategy."


class TmuxCheck(DoctorCheck):
    """Looks for tmux on the PATH and asks for its version; no server is asked for anything."""

    name = "tmux"

    def examine(self, context: DoctorContext) -> Iterator[Finding]:
        """Say whether terminals can live in tmux."""
        program = shutil.which("tmux", path=context.env.get("PATH"))
        held = len(Place(context.home / "tmux").terminal_ids())
        is_wanted = held > 0 or "tmux" in context.strategies
        if program is None:
            yield judge(None, is_wanted=is_wanted)
            return
        try:
            done = subprocess.run(
                [program, "-V"], capture_output=True, text=True, check=False, timeout=_ANSWER_WITHIN
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            judged = Finding.error if is_wanted else Finding.warning
            yield judged(f"{program} cannot be run: {error}.", _INSTALL)
            return
        yield judge(done.stdout.strip(), is_wanted=is_wanted)
        if held:
            yield Finding.ok(f"{held} terminals of this state directory are in tmux.")


def judge(said: str | None, *, is_wanted: bool) -> Finding:
    """Say what the version of tmux means.

    Args:
        said: What ``tmux -V`` printed; None where there is no tmux.
        is_wanted: Whether terminals are to be, or are, in tmux. It matters to nobody else.
    """
    if said is None:
        what, why = "tmux is not installed.", "No terminal can be started or found again in it."
    else:
        too_old = check_version(said)
        if too_old is None:
            return Finding.ok(f"{said} is installed and will do.")
        what, why = too_old, "No terminal can be started in it."
    if is_wanted:
        return Finding.error(what, f"{why} {_INSTALL}")
    return Finding.ok(f"{what} Nothing here needs it.")
