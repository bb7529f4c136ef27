"""Arming an account's gate again, by a person's word: the kill switch and the loss limit that shut it.

What shut it outlives the process, as the file ``kill`` and in the account's journal; both are looked for here
while no run holds the account, and taken back only by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from .clock import Clock, ManualClock, SystemClock
from .config import Config, load
from .errors import AccountLocked, ConfigError
from .journal import AccountLock, Event, Journal, account_folder
from .kite import endpoints
from .log import get_logger
from .modes import MODES, Mode
from .modes import mode as mode_of
from .risk.gate import KillSwitch, RiskGate
from .risk.ledger import Ledger
from .served import BUILT_IN, account_of, address, is_built_in

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shut:
    """Why the gate of one account lets nothing be opened.

    ``account``, ``mode``, ``endpoint``: whose gate it is · ``kill``: the kill switch's reason, and since when;
    empty if it is not engaged · ``limit``: the loss limit that was passed, in the gate's words; empty if none
    was · ``since``: market time at which the journal first has that limit · ``folder``: where both lie.
    """

    account: str
    mode: str
    endpoint: str
    folder: Path
    kill: str = ""
    limit: str = ""
    since: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.kill or self.limit)

    def __str__(self) -> str:
        """What is latched and why, in one sentence."""
        whose = f"the gate of {self.account} ({self.mode} on {self.endpoint})"
        why = [f"the kill switch is engaged ({self.kill})"] if self.kill else []
        if self.limit:
            why.append(self.limit + (f", since {self.since:%Y-%m-%d %H:%M:%S}" if self.since is not None else ""))
        return (
            f"{whose} is shut for entries: {'; and '.join(why)}" if why else f"{whose} is open: there is nothing to arm"
        )


def shut(mode: str | Mode = "live", *, config: Config | str | Path | None = None, endpoint: str | None = None) -> Shut:
    """Why an account's gate is shut; false if it is not. ``mode``, ``config`` and ``endpoint`` are those of the run.

    :raises ConfigError: if there is no such mode, or it keeps no account.
    :raises JournalBroken: if the account's journal is damaged.
    """
    return max(_gates(mode, config, endpoint), key=bool)


def arm(
    mode: str | Mode = "live",
    *,
    confirm: str | None = None,
    config: Config | str | Path | None = None,
    endpoint: str | None = None,
) -> Shut:
    """Let an account's gate open positions again: the kill switch is taken back, and the loss limit that was passed;
    what is lost counts for it anew from here. Gives back what had shut the gate. Journaled; a run that starts
    afterwards trades.

    ``confirm``: the account's client id, said aloud. The day's own limits stay: they end with the day.

    :raises ConfigError: if the account was not named, or is another; nothing was changed.
    :raises AccountLocked: if a run holds the account.
    """
    gates = _gates(mode, config, endpoint)
    found = max(gates, key=bool)
    if not found:
        return found
    if confirm != found.account:
        said = f"it was {confirm} that was named" if confirm else f"say so with --confirm {found.account}"
        raise ConfigError(f"{found}; {said}, and nothing was changed")
    for gate in gates:
        if gate:
            _arm(gate)
    return found


def _arm(gate: Shut) -> None:
    try:
        with AccountLock(gate.folder / "lock", SystemClock()):
            _take_back(gate)
    except AccountLocked as error:
        raise AccountLocked(f"{error}, then arm again; its gate stays shut for entries until then") from None


def _take_back(gate: Shut) -> None:
    kill = KillSwitch(gate.folder / "kill")
    path = gate.folder / "journal.sqlite"
    if path.exists():
        with Journal(path, _clock(gate, path)) as journal:
            book = _last_book(journal.events())
            if book is not None:
                ledger = Ledger.from_state(book["ledger"])
                RiskGate((), ledger).rearm()
                facts = {"kill": gate.kill, "limit": gate.limit, "value": ledger.value}
                journal.append("armed", {**facts, "book": {**book, "ledger": ledger.state()}})
    kill.rearm()
    log.info("the gate was armed again", account=gate.account, mode=gate.mode, kill=gate.kill, limit=gate.limit)


def _gates(mode: str | Mode, config: Config | str | Path | None, endpoint: str | None) -> list[Shut]:
    """The gates that this mode, configuration and endpoint may mean: the endpoint ``simulator`` is an exchange that
    serves, or one that the run starts for itself, each with an account of its own."""
    keeping = [name for name, row in MODES.items() if row.journal]
    if not isinstance(mode, Mode) and mode not in MODES:
        raise ConfigError(f"there is no mode {mode!r} that keeps an account: use {' or '.join(keeping)}")
    facts = mode_of(mode)
    if not facts.journal:
        raise ConfigError(f"{facts.name} keeps no account that could be armed: use {' or '.join(keeping)}")
    settings = config if isinstance(config, Config) else load(config)
    if endpoint is not None:
        settings = settings.with_(**{"broker.kite_connect.endpoint": endpoint})
    account = account_of(settings)
    if is_built_in(settings):
        names = [BUILT_IN, endpoints.resolve(address(settings)).name]
    else:
        names = [endpoints.resolve(settings.broker.kite_connect.endpoint).name]
    if facts.arm and not account:
        raise ConfigError("whose account is it? set broker.kite_connect.user_id (KITE_USER_ID)")
    state = Path(settings.paths.state)
    return [
        _look(Shut(account or "account", facts.name, name, account_folder(state, name, account, facts.name)))
        for name in dict.fromkeys(names)
    ]


def _look(gate: Shut) -> Shut:
    kill = KillSwitch(gate.folder / "kill")
    found = replace(gate, kill=(kill.reason or "set by hand") if kill.engaged() else "")
    path = gate.folder / "journal.sqlite"
    if not path.exists():
        return found
    with Journal(path, SystemClock()) as journal:
        events = journal.events()
    book = _last_book(events)
    latched = None if book is None else book["ledger"]["latched"]
    if not latched:
        return found
    since = None
    for event in reversed(events):
        if "book" in event.data:
            if not event.data["book"]["ledger"]["latched"]:
                break
            since = event.time
    return replace(found, limit=str(latched["reason"]), since=since)


def _clock(gate: Shut, path: Path) -> Clock:
    """Of the account's market. A simulated one may be in any year, and an event from its future would make the next
    run think that it began anew: there the last event's time stands."""
    if gate.endpoint in (endpoints.KITE.name, endpoints.SANDBOX.name):
        return SystemClock()
    with Journal(path, SystemClock()) as journal:
        events = journal.events()
    return ManualClock(events[-1].time) if events else SystemClock()


def _last_book(events: list[Event]) -> Mapping[str, Any] | None:
    return next((event.data["book"] for event in reversed(events) if "book" in event.data), None)
