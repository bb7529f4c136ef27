"""Two ways to the same result, timed side by side, each run in a fresh process.

A machine is never equally fast twice; what holds is the ratio of two programs that ran in turn. A
benchmark's script runs itself with ``--side NAME`` for one run; that run prints one line of JSON:
seconds (wall and CPU), and a digest of what came out. Unequal digests fail, and so does a ratio below what
the benchmark promises: :func:`demand`, in every benchmark of two sides. One that times btkite alone, because there
is nothing to hold it against, keeps within a limit: :func:`within`.
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "btkite"


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians in seconds, and how often the first fits into the second. ``best`` is the same of each side's
    fastest run: others on the machine make a run slower, never faster. ``…_before`` is what a side spent before
    its clock started (imports), if it says so."""

    ours: float
    theirs: float
    ratio: float
    best: float
    ours_before: float = 0.0
    theirs_before: float = 0.0


def compare(
    script: str,
    *args: str,
    ours: str,
    theirs: str,
    rounds: int = 5,
    unmeasured: int = 1,
    key: str = "cpu",
    equal: bool = True,
) -> Pair:
    """Run both sides in turn, ``rounds`` times each, after some ``unmeasured`` rounds.

    ``key``: ``cpu`` seconds, which others on the machine disturb least, or ``seconds`` of the wall clock. ``equal``:
    both must come to the same result; where they mean different things, the script has shown its own equal before.
    """
    compileall.compile_dir(PACKAGE, quiet=2)  # as pip does with what it installs, backtrader among it
    figures: dict[str, list[float]] = {ours: [], theirs: []}
    before: dict[str, list[float]] = {ours: [], theirs: []}
    digests: dict[str, str] = {}
    for number in range(rounds + unmeasured):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            said = run(script, "--side", side, *args)
            if number >= unmeasured:
                figures[side].append(said[key])
                before[side].append(said["before"])
            if digests.setdefault(side, said["digest"]) != said["digest"]:
                raise SystemExit(f"{side} gave two different results")
    if equal and digests[ours] != digests[theirs]:
        raise SystemExit(f"{ours} and {theirs} do not agree: {digests}")
    mine, other = statistics.median(figures[ours]), statistics.median(figures[theirs])
    ratios = [b / a for a, b in zip(figures[ours], figures[theirs], strict=True)]
    spent = [statistics.median(before[side]) for side in (ours, theirs)]
    return Pair(mine, other, statistics.median(ratios), min(figures[theirs]) / min(figures[ours]), *spent)


def run(script: str, *args: str) -> dict[str, Any]:
    """One side, in a process of its own."""
    done = subprocess.run([sys.executable, str(Path(script).resolve()), *args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(args)} failed:\n{done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def side(argv: Sequence[str], sides: dict[str, Callable[..., Any]], *args: Any, before: float = 0.0) -> bool:
    """If this process is one side's run: do it, say it, and True. A side gives its digest, or a function that
    works it out off the clock; ``before`` is CPU spent on what is not to be timed."""
    if "--side" not in argv:
        return False
    work = sides[argv[list(argv).index("--side") + 1]]
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = work(*args)
    seconds = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    digest = outcome() if callable(outcome) else outcome
    print(json.dumps({**seconds, "before": before, "digest": digest}))
    return True


def tell(title: str, pair: Pair, ours: str, theirs: str) -> None:
    """One line for people."""
    figures = f"{ours} {pair.ours * 1e3:,.0f} ms, {theirs} {pair.theirs * 1e3:,.0f} ms CPU"
    print(f"{title}: {figures}, {pair.ratio:.1f} x (fastest runs {pair.best:.1f} x)")


def demand(pair: Pair, at_least: float) -> None:
    """End with an error if the promise is not kept, by the fastest run of each side."""
    if pair.best < at_least:
        raise SystemExit(f"  {pair.best:.1f} x is less than the {at_least:,} x that are promised")
    print(f"  at least {at_least:,} x are promised")


def within(what: str, figure: float, limit: float, unit: str) -> None:
    """End with an error if ``figure`` is more than the ``limit`` that is promised."""
    if figure > limit:
        raise SystemExit(f"  {what}: {figure:,.4g} {unit} is more than the {limit:,.4g} {unit} that are promised")
    print(f"  {what}: at most {limit:,.4g} {unit} are promised")
