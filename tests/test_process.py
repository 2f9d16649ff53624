"""Who a process is, and for how long it has run."""

from __future__ import annotations

import subprocess
import time

from afx.api.process import ProcessIdentity, age, identify


def test_a_process_has_run_since_it_was_started_and_not_once_it_is_gone() -> None:
    before = time.monotonic()
    with subprocess.Popen(["sleep", "600"]) as process:
        identity = identify(process.pid)
        assert identity is not None
        lived = age(identity)
        assert lived is not None
        # Clocks of whole seconds tell ages, at worst.
        assert -1.1 < lived < time.monotonic() - before + 1.1
        assert age(ProcessIdentity(pid=process.pid, start="1", boot_id=identity.boot_id)) is None
        process.kill()
    assert age(identity) is None
