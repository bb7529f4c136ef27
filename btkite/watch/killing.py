"""Stopping an account from outside: the kill switch, and what becomes of it.

The switch is a file beside the journal; setting it takes no lock. A run that goes on sees it within a second, cancels
what opens, and with ``flatten`` cancels everything and closes what is held. One whose strategy hangs gives its process
up for that (:mod:`btkite.runs.watchdog`). Where no process runs, or one that not even does that, what is open at the
market is wound down by a short run of our own, which takes the lock, knows from the journal what is ours, and has to be
armed like any other. One process trades an account at any time: what hangs is ended before the lock is taken.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..clock import Bell, Clock, SystemClock
from ..config import Config, load
from ..errors import AccountLocked, BtkiteError, ConfigError
from ..journal import AccountLock
from ..modes import Mode
from ..risk.gate import KillSwitch
from .places import Place, likeliest, places
from .reading import Standing, standing

_PATIENCE = timedelta(seconds=30)
_DEAF = timedelta(seconds=12)
"""A run that has not answered by then will not: it has turned its wheel no more, and its watchdog neither."""
_GONE = timedelta(seconds=10)
_STEP = timedelta(seconds=0.1)


@dataclass(frozen=True, slots=True)
class Killed:
    """What a kill came to, for one account.

    ``again``: the switch was engaged already, and as wide · ``pid``: of the run that heeds it, None if none does ·
    ``heeded``: that run has said that it knows · ``done``: and that nothing is left to be done · ``left``: orders and
    positions that are still there by the last word, as short texts · ``stuck``: what cannot be closed now, and why ·
    ``paused``: why that run opens nothing as it is, each reason once.
    """

    place: Place
    reason: str
    flatten: bool
    again: bool
    pid: int | None = None
    heeded: bool = False
    done: bool = False
    left: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()

    @property
    def deaf(self) -> bool:
        """Whether a process holds the account and does not answer."""
        return self.pid is not None and not self.heeded

    def __str__(self) -> str:
        """In one sentence."""
        what = f"the kill switch of {self.place} "
        what += (
            f"was engaged already ({self.reason}); nothing was changed" if self.again else f"is engaged ({self.reason})"
        )
        rest = f": {'; '.join(self.left)}" if self.left else ""
        if self.pid is None:
            then = "no process runs this account, and the next one opens nothing"
        elif self.done and self.flatten:
            then = f"the run (pid {self.pid}) has cancelled every order and closed every position"
        elif self.done:
            then = f"the run (pid {self.pid}) has cancelled what opens{self._kept()}"
        elif self.heeded:
            then = f"the run (pid {self.pid}) is still at it{rest}" + "".join(f"; {text}" for text in self.stuck)
        else:
            then = f"the run (pid {self.pid}) has not answered yet"
        also = f"; entries pause besides, which that does not end: {'; '.join(self.paused)}" if self.paused else ""
        return f"{what}; {then}; until `btkite resume`, nothing is opened{also}"

    def _kept(self) -> str:
        """What a kill without flatten leaves alone."""
        orders = [text for text in self.left if text.startswith("order")]
        held = [text for text in self.left if text not in orders]
        words = f", and keeps what reduces: {'; '.join(orders)}" if orders else ""
        if held:
            words += f"; held still{'' if orders else ', with no exit at the market'}: {'; '.join(held)}"
        return words


def kill(
    mode: str | Mode = "live",
    *,
    reason: str = "btkite kill",
    flatten: bool = False,
    config: Config | str | Path | None = None,
    endpoint: str | None = None,
    clock: Clock | None = None,
    patience: timedelta = _PATIENCE,
) -> list[Killed]:
    """Engage the kill switch of an account, and wait, at most ``patience``, until its run has done what that asks. A
    ``reason`` of blanks is none: a kill is never refused for the want of one.

    :raises ConfigError: if there is no such account.
    """
    clock, reason = clock or SystemClock(), reason.strip() or "btkite kill"
    found = places(mode, config, endpoint, purpose="killed")
    set_now = {place: KillSwitch(place.kill).engage(reason, clock.now(), flatten=flatten) for place in found}
    running = [place for place in found if standing(place, clock).is_running]
    shown = running or [likeliest(found)]
    return [_awaited(place, again=not set_now[place], clock=clock, patience=patience) for place in shown]


def _awaited(place: Place, *, again: bool, clock: Clock, patience: timedelta) -> Killed:
    switch = KillSwitch(place.kill)
    killed = Killed(place, switch.reason, switch.flatten, again)
    until, bell = clock.now() + patience, Bell()
    deaf = clock.now() + min(patience, _DEAF)
    while (now := standing(place, clock)).is_running:
        killed = replace(killed, **_answer(now, wanted=switch.flatten))
        if killed.done or clock.now() >= (until if killed.heeded else deaf):
            return killed
        clock.wait(bell, clock.now() + _STEP)
    return replace(killed, pid=None)


def _answer(now: Standing, *, wanted: bool) -> dict[str, Any]:
    mine = now.said.get("pid") == now.owner.get("pid")
    said = now.said if mine else {}
    winding: Mapping[str, Any] = said.get("winding") or {}
    heeded = bool(winding) and bool(winding["flatten"]) == wanted
    return {
        "pid": now.owner.get("pid"),
        "heeded": heeded,
        "done": heeded and bool(winding["done"]),
        "left": open_of(said) if heeded else (),
        "stuck": tuple(winding.get("stuck") or ()) if heeded else (),
        "paused": tuple(dict.fromkeys(said.get("gate", {}).get("paused", ()))),
    }


def open_of(said: Any) -> tuple[str, ...]:
    """Orders and positions in a run's word or in a book, as short texts."""
    orders, positions = said.get("orders", ()), said.get("positions", ())
    texts = [f"order {row['ref']} {row.get('symbol') or row.get('key')}{_doubt(row)}" for row in orders]
    if isinstance(positions, dict):
        positions = [{"symbol": key, **row} for key, row in positions.items()]
    texts += [f"position {row['size']:g} {row['symbol']}" for row in positions if row["size"]]
    return tuple(texts)


def _doubt(row: Mapping[str, Any]) -> str:
    until = row.get("uncertain_until")
    return f" (Kite has not answered: looked up until {until[11:19]})" if until else ""


def end_process(place: Place, clock: Clock | None = None, *, gently: bool = False) -> None:
    """End the process that holds the account and does not answer, at once (SIGKILL): what it was about to do is in the
    journal, and it can do nothing more when the next one takes the lock. ``gently``: it is asked first (SIGTERM).

    :raises BtkiteError: if it is of another machine, or cannot be ended.
    """
    clock, bell = clock or SystemClock(), Bell()
    owner = standing(place, clock).owner
    if not owner:
        return
    who = f"the process {owner.get('pid')} on {owner.get('host')}, which runs {place}"
    if owner.get("host") != socket.gethostname() or os.name != "posix":
        raise BtkiteError(f"{who}, does not answer, and cannot be ended from here: end it there, then kill again")
    for number in (signal.SIGTERM, signal.SIGKILL) if gently else (signal.SIGKILL,):
        try:
            os.kill(int(owner["pid"]), number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise BtkiteError(f"{who}, is another user's: end it, then kill again") from None
        until = clock.now() + _GONE
        while not (free := _is_free(place)) and clock.now() < until:
            clock.wait(bell, clock.now() + _STEP)
        if free:
            return
    raise BtkiteError(f"{who}, was ended and does not go")


def _is_free(place: Place) -> bool:
    lock = AccountLock(place.lock, SystemClock())
    try:
        with lock:
            return True
    except AccountLocked:
        return False


def close_down(
    place: Place,
    *,
    confirm: str | None,
    config: Config | str | Path | None = None,
    endpoint: str | None = None,
    tell: Callable[[datetime, str], None] | None = None,
    because: str = "",
    patience: timedelta = timedelta(seconds=60),
) -> tuple[str, ...]:
    """Do what the kill switch asks where no process runs the account: cancel what the journal says is ours and opens,
    and with *flatten* all of it, and close what is held. What is still to be done after ``patience`` is given back;
    what rests then goes on resting.

    ``confirm``: the account's client id, as for every run whose orders leave · ``because``: said to a person first.

    :raises ConfigError: if it was not said, or the kill switch is not set.
    :raises AccountLocked: if a process runs the account after all.
    """
    import backtrader as bt

    from .. import runs

    class AtRest(bt.Strategy):
        """Does nothing: the kill switch does it."""

        def start(self) -> None:
            if because:
                self.broker.alert("critical", because, "kill took over")

    book = standing(place).book
    keys = sorted({*book.get("positions", {}), *(row["key"] for row in book.get("orders", ()))})
    if not keys:
        return ()
    if not KillSwitch(place.kill).engaged():
        raise ConfigError(f"the kill switch of {place} is not set: kill first")
    settings = config if isinstance(config, Config) else load(config)
    settings = settings.with_(**{"data.warmup": 0, "run.quiet": False, "run.sessions": None})
    plan = runs.prepare(
        AtRest, keys, mode=place.mode, config=settings, endpoint=endpoint, confirm=confirm, save=False, tell=tell
    )
    if plan.folder != place.folder:
        raise BtkiteError(f"{place} cannot be reached now: nobody serves its market")
    result = replace(plan, ends_flat=True, patience=patience.total_seconds()).go()
    said = standing(place).said
    winding = said.get("winding") or {}
    if winding.get("done"):
        return ()
    return tuple(winding.get("stuck") or ()) or result.left_open or ("what it asks was not done",)
