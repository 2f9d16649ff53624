"""The command ``python -m benchmarks [NAME ...]``: one benchmark after another, and what each found."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import (
    boot,
    command_line,
    echo,
    flood,
    growth,
    holder_memory,
    kept,
    planning,
    spawn,
    stalled_viewer,
    storage,
    survey,
)
from .measure import Options
from .table import Finding, print_json, print_table

BENCHMARKS: Mapping[str, Callable[[Options], list[Finding]]] = {
    "holder-memory": holder_memory.run,
    "spawn": spawn.run,
    "boot": boot.run,
    "growth": growth.run,
    "flood": flood.run,
    "echo": echo.run,
    "command-line": command_line.run,
    "storage": storage.run,
    "planning": planning.run,
    "stalled-viewer": stalled_viewer.run,
    "survey": survey.run,
}


def main() -> int:
    """Run the benchmarks that are named, or all; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=5, help="how often a thing is measured (5)")
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="how long keys are typed; floods take 3 x this (4)"
    )
    parser.add_argument("--terminals", type=int, default=300, help="how many terminals a crowd has (300)")
    parser.add_argument("--large", action="store_true", help="measure with 1000 terminals, too")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of tables")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add the findings to FILE, a line each")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"There is no benchmark {unknown[0]!r}. There are: {', '.join(BENCHMARKS)}.")
    if not sys.platform.startswith("linux"):
        parser.error("The benchmarks read /proc, which only Linux has.")
    # Ended politely, everything that was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = Options(runs=given.runs, seconds=given.seconds, terminals=given.terminals, large=given.large)
    if not given.json:
        print(_machine(), end="\n\n", flush=True)
    found: list[Finding] = []
    for name in given.names or BENCHMARKS:
        began = time.monotonic()
        findings = BENCHMARKS[name](options)
        found += findings
        if given.keep is not None:
            with given.keep.open("a", encoding="utf-8") as file:
                print_json(findings, file)
        if given.json:
            print_json(findings)
        else:
            print(f"{name} ({time.monotonic() - began:.0f} s)")
            print_table(findings)
    last = kept.newest()
    if last is not None and not given.json:
        changes = kept.worse(kept.read(last), found)
        print(*changes or [f"Nothing is worse by more than a third than in {last.stem}."], sep="\n")
    return 0


def _machine() -> str:
    now = dt.datetime.now(dt.UTC)
    load = os.getloadavg()[0]
    return (
        f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({platform.machine()}), "
        f"Linux {platform.release()}, {platform.python_implementation()} {platform.python_version()}, "
        f"load {load:.1f} at the start"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
