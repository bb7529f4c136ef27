"""One market day, lived by the same command in one life or in several, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ..clock import SystemClock
from ..errors import BtkiteError, JournalBroken, SessionExpired
from ..journal import Event, Journal
from ..testing.wire import API_KEY, TOKEN, USER, KiteExchange
from .acts import LOGIN, Account, Act
from .boundaries import Boundary
from .child import Life

KILLED = -9
_MEMORY = "/dev/shm"  # noqa: S108 - what is durable there outlives the process, which is all that dies here


@dataclass(frozen=True, slots=True)
class Death:
    """Where one life ended, and the market's time."""

    boundary: Boundary
    at: datetime


@dataclass(frozen=True, slots=True)
class Day:
    """What came of a day. ``bars``, ``told`` (of orders) and ``closed`` (trades) are the witness's lines, oldest
    first; ``wishes`` what the strategy asked for; ``orders``, ``trades`` and ``positions`` the exchange's own.
    ``crossings``: the boundaries that the first life came to; ``pauses``: those of them at which all was done and the
    market was about to move, by its time. ``end``: the witness's last word of the life that came to its end;
    ``began``: the exchange's request at which each life began; ``state`` and ``requests``: all that the exchange
    tells a judge; ``note``: what each order that traded costs by its tables, in ₹ by its id; ``events``: the
    journal's lines, without their books, ``book`` the last of these, and ``damage`` what is wrong with it;
    ``by_hand``: ids of orders that others gave; ``killed_at``: the number of the exchange's request after which the
    kill switch was set; ``secrets``: what nobody may have said."""

    deaths: tuple[Death, ...] = ()
    codes: tuple[int, ...] = ()
    bars: tuple[Mapping[str, Any], ...] = ()
    told: tuple[Mapping[str, Any], ...] = ()
    closed: tuple[Mapping[str, Any], ...] = ()
    crossings: tuple[Boundary, ...] = ()
    pauses: Mapping[datetime, Boundary] = field(default_factory=dict)
    orders: tuple[Mapping[str, Any], ...] = ()
    trades: tuple[Mapping[str, Any], ...] = ()
    positions: tuple[Mapping[str, Any], ...] = ()
    intents: frozenset[str] = field(default=frozenset())
    output: str = ""
    end: Mapping[str, Any] = field(default_factory=dict)
    began: tuple[int, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    requests: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Event, ...] = ()
    damage: str = ""
    by_hand: frozenset[str] = field(default=frozenset())
    killed_at: int | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    note: Mapping[str, float] = field(default_factory=dict)
    wishes: tuple[Mapping[str, Any], ...] = ()
    book: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What is run on what. ``keys`` and ``params`` as for :class:`~btkite.checks.child.Life`; ``start``: what lies
    before it is history; ``seconds``: real ones that a life may last; ``settings`` are the exchange's; ``acts``: what
    others do meanwhile; ``login``: the token lies where ``btkite login`` puts it, so that a new one can follow."""

    strategy: str
    candles: Mapping[str, Any]
    interval: str = "minute"
    params: tuple[str, ...] = ()
    config: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    start: datetime | None = None
    seconds: int = 120
    settings: Mapping[str, Any] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    login: bool = False


class Stage:
    """An exchange in this process and a child that lives on it; a day at a time."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="btkite-check-", dir=_MEMORY if os.path.isdir(_MEMORY) else None))
        self._exchange = KiteExchange(self._root / "exchange")
        self._child: subprocess.Popen[str] | None = None
        self._days = 0

    def __enter__(self) -> Self:
        self._exchange.__enter__()
        package = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
        self._child = subprocess.Popen(
            [sys.executable, "-m", "btkite.checks.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "BTKITE_KEYRING": "off"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child.wait()
        self._exchange.__exit__(kind, error, trace)
        shutil.rmtree(self._root, ignore_errors=True)

    def play(self, script: Script, fatal: Sequence[Boundary] = ()) -> Day:
        """The day from its first minute on: a life that dies at each of ``fatal``, one after the other, and the one
        that goes on to the end.

        :raises BtkiteError: if a life ends otherwise; with what it said.
        """
        self._days += 1
        folder = self._root / f"day{self._days}"
        folder.mkdir()
        try:
            self._exchange.reset(dict(script.candles), start=script.start, interval=script.interval, **script.settings)
            account = Account(self._exchange, folder / "state")
            if script.login:
                account.keep(TOKEN)
            for act in script.acts:
                self._exchange.at(act.at, account.deed(act))
            return replace(
                self._live(script, folder, list(fatal)),
                by_hand=frozenset(account.by_hand),
                killed_at=account.killed_at,
                secrets=(TOKEN, *account.tokens),
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _live(self, script: Script, folder: Path, fatal: list[Boundary]) -> Day:
        deaths: list[Death] = []
        codes: list[int] = []
        began: list[int] = []
        while True:
            where = fatal[len(deaths)] if len(deaths) < len(fatal) else None
            began.append(len(self._exchange.requests()))
            code = self._one(script, folder, len(codes), where)
            codes.append(code)
            if code == SessionExpired.exit_code and self._logged_in_later(script):
                continue  # killed while the token was dead: whoever runs it logs in, and starts it again
            if code != KILLED or where is None:
                break
            deaths.append(Death(where, self._exchange.steer.now()))
        output = _read(folder / "output.txt")
        if code < 0:
            last = "\n".join(output.splitlines()[-12:])
            raise BtkiteError(f"a life that should have gone on ended with signal {-code}; it had said:\n{last}")
        lines = [json.loads(line) for line in _read(folder / "witness.jsonl").splitlines()]
        state = self._exchange.steer.state()
        events, book, damage = _journal(folder / "state")
        crossed = [_crossed(line) for line in _read(folder / "crossings-0.txt").splitlines()]
        return Day(
            deaths=tuple(deaths),
            codes=tuple(codes),
            bars=tuple(line for line in lines if line["kind"] == "bar"),
            told=tuple(line for line in lines if line["kind"] == "order"),
            wishes=tuple(line for line in lines if line["kind"] == "wish"),
            closed=tuple(line for line in lines if line["kind"] == "trade"),
            crossings=tuple(boundary for boundary, _ in crossed),
            pauses={datetime.fromisoformat(at): boundary for boundary, at in reversed(crossed) if at},
            orders=tuple(state["orders"]),
            trades=tuple(state["trades"]),
            positions=tuple(state["positions"]["net"]),
            intents=frozenset(str(event.data["proposal"]["tag"]) for event in events if event.kind == "intent"),
            output=output,
            end=next((line for line in reversed(lines) if line["kind"] == "end"), {}),
            began=tuple(began),
            state=state,
            requests=tuple(self._exchange.requests()),
            note=self._exchange.charges(),
            events=events,
            damage=damage,
            book=book,
        )

    def _logged_in_later(self, script: Script) -> bool:
        """Whether somebody logs in later that day; then it is so late."""
        later = [act.at for act in script.acts if act.what == LOGIN and act.at > self._exchange.steer.now()]
        if later:
            self._exchange.steer.play_until(min(later) + timedelta(seconds=1))
        return bool(later)

    def _one(self, script: Script, folder: Path, number: int, fatal: Boundary | None) -> int:
        keys = {
            "broker.kite_connect.endpoint": self._exchange.url,
            "broker.kite_connect.api_key": API_KEY,
            **({} if script.login else {"broker.kite_connect.access_token": TOKEN}),
            "broker.kite_connect.user_id": USER,
            "data.cache": str(folder / "candles"),
            "paths.state": str(folder / "state"),
            "log.file": False,
            **script.keys,
        }
        life = Life(
            strategy=script.strategy,
            symbols=tuple(script.candles),
            folder=str(folder),
            interval=script.interval,
            params=script.params,
            config=script.config,
            keys=keys,
            confirm=USER,
            number=number,
            seconds=script.seconds,
            fatal="" if fatal is None else str(fatal),
        )
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(life.text() + "\n")
        child.stdin.flush()
        return int(_answer(child.stdout))


def _answer(pipe: IO[str]) -> str:
    answer = pipe.readline()
    if not answer:
        raise BtkiteError("the process that starts the lives has ended")
    return answer


def _crossed(line: str) -> tuple[Boundary, str]:
    boundary, _, at = line.partition("\t")
    return Boundary.parse(boundary), at


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _journal(state: Path) -> tuple[tuple[Event, ...], Mapping[str, Any] | None, str]:
    """What the account's journal holds, the account as it stands there last, and what is wrong with it, if anything."""
    events: list[Event] = []
    book: Mapping[str, Any] | None = None
    for path in sorted(state.rglob("journal.sqlite")):
        try:
            with Journal(path, SystemClock(), read_only=True) as journal:
                events += journal.events(books=False)
                wrong = journal.verify()
                last = journal.last_book()
        except JournalBroken as error:
            return tuple(events), book, str(error)
        book = book if last is None else last.data["book"]
        if wrong is not None:
            return tuple(events), book, f"line {wrong} of the journal is not as it was written"
    return tuple(events), book, ""
