"""A process that runs strategies in processes of its own, each of which may die: ``python -m btkite.checks.child``.

It reads one :class:`Life` a line from its standard input, as JSON, and answers each with a line: how it ended. It
imports everything once and forks for every life, so that a life costs no start. It starts no thread itself.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .boundaries import Boundary, Crossings, install

_LOOK = 0.01
"""Real seconds between two looks at whether a life is over."""


@dataclass(frozen=True, slots=True)
class Life:
    """One start of the same command. ``params`` are ``name=value`` texts, ``keys`` the configuration's dotted keys.

    ``config``: the file; empty: what the working folder and the environment say; None: the defaults alone.
    ``fatal``: where it dies (``str`` of a :class:`Boundary`); empty: nowhere. ``folder`` gets ``witness.jsonl``,
    ``output.txt`` and, for each life, ``crossings-N.txt``. ``seconds``: real ones, after which it is ended.
    """

    strategy: str
    symbols: tuple[str, ...]
    folder: str
    interval: str = "minute"
    params: tuple[str, ...] = ()
    config: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    confirm: str = ""
    number: int = 0
    fatal: str = ""
    seconds: int = 60

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Life:
        given = json.loads(text)
        return cls(**{**given, "symbols": tuple(given["symbols"]), "params": tuple(given["params"])})


def live(life: Life) -> int:
    """The run, as ``btkite run`` does it, with a witness and with the seams; its exit code."""
    from .. import runs
    from ..config import Config, load
    from ..errors import BtkiteError
    from ..loading import load_strategy, parse_params
    from ..modes import MODES
    from .witness import Witness

    folder = Path(life.folder)
    fatal = Boundary.parse(life.fatal) if life.fatal else None
    install(Crossings(folder / f"crossings-{life.number}.txt", fatal))
    settings = (Config() if life.config is None else load(Path(life.config) if life.config else None)).with_(
        **life.keys
    )
    strategy = load_strategy(life.strategy)
    armed = next(mode for mode in MODES.values() if mode.arm)
    file = os.open(folder / "witness.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        plan = runs.prepare(
            strategy,
            life.symbols,
            mode=armed,
            interval=life.interval,
            params=parse_params(strategy, life.params),
            config=settings.with_(**life.keys),
            confirm=life.confirm,
        )
        return replace(plan, analyzers=((Witness, {"file": file, "life": life.number}),)).go().exit_code
    except BtkiteError as error:
        traceback.print_exc()
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _fork(life: Life) -> int:
    """Live in a process of its own. How it ended: an exit code, or the signal as a negative number."""
    child = os.fork()
    if child:
        return _ended(child)
    code = 70  # pragma: no cover - from here on this is the child
    try:
        output = os.open(Path(life.folder) / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.alarm(life.seconds)
        faulthandler.dump_traceback_later(life.seconds - 1, file=output)  # where it hung
        code = live(life)
    except BaseException:  # noqa: BLE001 - whatever it was, this process ends here and must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int) -> int:
    """Wait for a life. Who asks for one says nothing until it has its answer: what can be read before is the end, and
    nobody is there any more whom the life could tell."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if select.select([sys.stdin], [], [], _LOOK)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            sys.exit()


def _preload() -> None:
    """What every life imports and reads, once for all of them."""
    for name in _EVERY_LIFE:
        importlib.import_module(name)
    from ..market.calendar import calendar

    calendar()


_EVERY_LIFE = (
    "kiteconnect",
    "pandas",
    "pyarrow",
    "stamina",
    "urllib3.connection",
    "btkite.analyzers",
    "btkite.brokers.kite",
    "btkite.checks.day",
    "btkite.checks.witness",
    "btkite.engine",
    "btkite.feed",
    "btkite.kite.desk",
    "btkite.kite.instruments",
    "btkite.kite.reader",
    "btkite.kite.stream",
    "btkite.kite.tables",
    "btkite.report.result",
    "btkite.runs",
    "btkite.store",
)


def main() -> None:
    _preload()
    for line in sys.stdin:
        ended = _fork(Life.of(line))
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
