"""Resuming: an account's gate is opened again, by a person's word and with a reason.

What shut it, the kill switch or a loss limit, outlives the process, as the file ``kill`` and in the account's journal;
both are looked for here while no run holds the account, and taken back only by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from . import unclean
from .clock import Clock, ManualClock, SystemClock
from .config import Config
from .errors import AccountLocked, ConfigError
from .journal import AccountLock, Journal
from .kite import endpoints
from .log import get_logger
from .modes import Mode
from .risk.gate import KillSwitch, RiskGate
from .risk.ledger import Ledger
from .watch.places import Place, likeliest, places
from .watch.reading import lives

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shut:
    """Why the gate of one account lets nothing be opened.

    ``account``, ``mode``, ``endpoint``: whose gate it is · ``kill``: the kill switch's reason, and since when;
    empty if it is not engaged · ``limit``: the loss limit that was passed, in the gate's words; empty if none
    was · ``unclean``: that the last runs ended without a word, again and again ·
    ``since``: market time at which the journal first has that limit · ``folder``: where both lie.
    """

    account: str
    mode: str
    endpoint: str
    folder: Path
    kill: str = ""
    limit: str = ""
    unclean: str = ""
    since: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.kill or self.limit or self.unclean)

    def __str__(self) -> str:
        """What is latched and why, in one sentence."""
        whose = f"the gate of {self.account} ({self.mode} on {self.endpoint})"
        why = [f"the kill switch is engaged ({self.kill})"] if self.kill else []
        if self.limit:
            why.append(self.limit + (f", since {self.since:%Y-%m-%d %H:%M:%S}" if self.since is not None else ""))
        if self.unclean:
            why.append(self.unclean)
        return (
            f"{whose} is shut for entries: {'; and '.join(why)}"
            if why
            else f"{whose} is open: there is nothing to resume"
        )


def shut(mode: str | Mode = "live", *, config: Config | str | Path | None = None, endpoint: str | None = None) -> Shut:
    """Why an account's gate is shut; false if it is not. ``mode``, ``config`` and ``endpoint`` are those of the run.

    :raises ConfigError: if there is no such mode, or it keeps no account.
    :raises JournalBroken: if the account's journal is damaged.
    """
    return _told(_gates(mode, config, endpoint))


def resume(
    mode: str | Mode = "live",
    *,
    reason: str,
    confirm: str | None = None,
    config: Config | str | Path | None = None,
    endpoint: str | None = None,
) -> Shut:
    """Let an account's gate open positions again: the kill switch is taken back, and the loss limit that was passed;
    what is lost counts for it anew from here. Gives back what had shut the gate. Journaled, with the ``reason``; a
    run that starts afterwards trades.

    ``confirm``: the account's client id, said aloud. The day's own limits stay: they end with the day.

    :raises ConfigError: if no reason was given, the account was not named, or is another; nothing was changed.
    :raises AccountLocked: if a run holds the account.
    """
    gates = _gates(mode, config, endpoint)
    found = _told(gates)
    if not found and confirm in (None, found.account):
        return found
    if not reason.strip():
        raise ConfigError(f"{found}; say why it may trade again, with --reason; nothing was changed")
    if confirm != found.account:
        said = f"it was {confirm} that was named" if confirm else f"say so with --confirm {found.account}"
        raise ConfigError(f"{found}; {said}, and nothing was changed")
    for gate in gates:
        if gate:
            _open(gate, reason.strip())
    return found


def _told(gates: Sequence[Shut]) -> Shut:
    """Of several, the one to speak of: that is shut, and of these the one that a run was on last."""
    named = {Place(gate.account, gate.mode, gate.endpoint, gate.folder): gate for gate in gates}
    return named[likeliest([place for place, gate in named.items() if gate] or list(named))]


def _open(gate: Shut, reason: str) -> None:
    try:
        with AccountLock(gate.folder / "lock", SystemClock()):
            _take_back(gate, reason)
    except AccountLocked as error:
        raise AccountLocked(f"{error}, then resume; its gate stays shut for entries until then") from None


def _take_back(gate: Shut, reason: str) -> None:
    kill = KillSwitch(gate.folder / "kill")
    path = gate.folder / "journal.sqlite"
    if path.exists():
        with Journal(path, _clock(gate, path)) as journal:
            last = journal.last_book()
            if last is not None:
                book = last.data["book"]
                ledger = Ledger.from_state(book["ledger"])
                RiskGate((), ledger).rearm()
                facts: dict[str, Any] = {
                    "reason": reason,
                    "kill": gate.kill,
                    "limit": gate.limit,
                    "unclean": gate.unclean,
                }
                facts["value"] = ledger.value
                journal.append("resumed", {**facts, "book": {**book, "ledger": ledger.state()}})
            else:  # it never came to a book
                journal.append("resumed", {"reason": reason, "kill": gate.kill, "limit": "", "unclean": gate.unclean})
    kill.rearm()
    log.info("trading may go on", account=gate.account, mode=gate.mode, why=reason, kill=gate.kill, limit=gate.limit)


def _gates(mode: str | Mode, config: Config | str | Path | None, endpoint: str | None) -> list[Shut]:
    found = places(mode, config, endpoint, purpose="resumed")
    return [_look(Shut(place.account, place.mode, place.endpoint, place.folder)) for place in found]


def _look(gate: Shut) -> Shut:
    kill = KillSwitch(gate.folder / "kill")
    found = replace(gate, kill=(kill.reason or "set by hand") if kill.engaged() else "")
    path = gate.folder / "journal.sqlite"
    if not path.exists():
        return found
    with Journal(path, SystemClock(), read_only=True) as journal:
        now = SystemClock().now()
        running = lives(AccountLock(gate.folder / "lock", SystemClock()).owner(), now)
        found = replace(found, unclean=unclean.sentence(unclean.ends(journal, now, running=running)))
        last = journal.last_book()
        latched = None if last is None else last.data["book"]["ledger"]["latched"]
        if not latched:
            return found
        events = journal.events()
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
    with Journal(path, SystemClock(), read_only=True) as journal:
        last = journal.newest(1)
    return ManualClock(last[0].time) if last else SystemClock()
