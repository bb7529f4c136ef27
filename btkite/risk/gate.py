"""The one gate: every order, in every mode, is judged here before it goes anywhere.

What it refuses is *denied* (ours), never *rejected* (Kite's). Orders are judged on Cerebro's thread; the
kill switch is a file, so that any thread and any process can read it and a restart finds it again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..values import Denial, Proposal
from .ledger import Ledger
from .rules import Rule, check
from .verdicts import verdicts

ONLY_REDUCING = "only orders that reduce the position pass"
UNTIL_ARMED = f"{ONLY_REDUCING} until a person resumes trading (end the run, then `btkite resume`)"


class State(StrEnum):
    """What the gate lets through. Cancels always pass."""

    ACTIVE = "active"  # what the rules allow
    REDUCING = "reducing"  # only orders that reduce; left by itself when the cause is gone
    HALTED = "halted"  # only orders that reduce; left by a person: `btkite resume`


class KillSwitch:
    """A file that means *stop*: it survives a restart, and ``touch`` is enough to set it.

    ``path`` is in the account's state folder. What cannot be read counts as engaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def engage(self, reason: str, now: datetime | None = None, *, flatten: bool = False) -> bool:
        """Set it, durably; ``flatten``: what is held is to be closed, too. False if all that was set already; the
        first reason stays."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        at = "" if now is None else now.isoformat(sep=" ", timespec="seconds")
        try:
            self._write(self.path, {"reason": reason, "at": at, "flatten": flatten})
        except FileExistsError:
            if not flatten or self.flatten:
                return False
            draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            draft.unlink(missing_ok=True)
            self._write(draft, {**self._note(), "flatten": True})
            draft.replace(self.path)
        self._sync_folder()
        return True

    @staticmethod
    def _write(path: Path, note: Mapping[str, Any]) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, json.dumps(note).encode())
            os.fsync(file)
        finally:
            os.close(file)

    def engaged(self) -> bool:
        """True from :meth:`engage` to :meth:`rearm`, in every process; True too if that cannot be told."""
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    @property
    def reason(self) -> str:
        """Why, and since when; empty if it is not engaged."""
        if not self.engaged():
            return ""
        note = self._note()
        reason, at = str(note["reason"]), str(note["at"])
        return f"{reason}, since {at}" if at else reason

    @property
    def flatten(self) -> bool:
        """Whether positions are to be closed, too."""
        return self.engaged() and bool(self._note()["flatten"])

    def _note(self) -> dict[str, Any]:
        """What was said when it was set; a file that somebody made by hand says at most why."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {"reason": "", "at": "", "flatten": False}
        except (OSError, UnicodeDecodeError):
            return {"reason": "its file cannot be read", "at": "", "flatten": False}
        try:
            note = json.loads(text)
            return {"reason": note["reason"], "at": note["at"], "flatten": bool(note.get("flatten"))}
        except (ValueError, KeyError, TypeError):
            return {"reason": text.strip() or "set by hand", "at": "", "flatten": False}

    def rearm(self) -> bool:
        """Take it back, durably; False if it was not set."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        self._sync_folder()
        return True

    def _sync_folder(self) -> None:
        if os.name == "nt":  # a folder cannot be opened there, and its entries are written through
            return
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class RiskGate:
    """``rules`` over ``ledger``, behind three states and the kill switch."""

    def __init__(
        self, rules: Sequence[Rule], ledger: Ledger, *, state: State = State.ACTIVE, kill: KillSwitch | None = None
    ) -> None:
        self.rules = tuple(rules)
        self.ledger = ledger
        self.kill = kill
        self.judged = 0
        self.denials: Counter[str] = Counter()
        self.noted: dict[int, list[dict[str, Any]]] | None = None  # by ref, what each rule said; None: nobody asks
        self._state = state
        self._reason = ""
        self._pauses: dict[str, str] = {}
        self._pauses_of: dict[str, tuple[str, str]] = {}  # cause -> the one instrument that it is about, reason

    @property
    def state(self) -> State:
        """HALTED while the kill switch is engaged, REDUCING once a limit for good was passed, or while it is paused."""
        if self._state is State.HALTED or (self.kill is not None and self.kill.engaged()):
            return State.HALTED
        return State.REDUCING if self.ledger.latched is not None or self._pauses else self._state

    @property
    def reason(self) -> str:
        """Why the gate is not ACTIVE; empty if it is."""
        if self.kill is not None and self.kill.engaged():
            return f"the kill switch is engaged ({self.kill.reason})"
        if self._state is State.HALTED:
            return self._reason
        if self.ledger.latched is not None:
            return self.ledger.latched.reason
        return self._reason or "; ".join(self._pauses.values())

    def reduce_only(self, reason: str) -> None:
        """Until :meth:`resume`, nothing is opened. A halted gate stays halted."""
        if self._state is not State.HALTED:
            self._state, self._reason = State.REDUCING, reason

    def resume(self) -> None:
        """The cause of :meth:`reduce_only` is gone. Neither a halt nor a limit for good is lifted by that."""
        if self._state is State.REDUCING:
            self._state, self._reason = State.ACTIVE, ""

    def pause(self, cause: str, reason: str, key: str = "") -> None:
        """Nothing is opened until :meth:`unpause` of the same cause; with a ``key``, nothing of that instrument.
        Causes do not know of each other, and none of them lifts a halt or a limit."""
        if key:
            self._pauses_of[cause] = key, reason
        else:
            self._pauses[cause] = reason

    def unpause(self, cause: str) -> None:
        """This cause is gone."""
        self._pauses.pop(cause, None)
        self._pauses_of.pop(cause, None)

    @property
    def paused(self) -> dict[str, str]:
        """The reason of each cause that pauses entries now."""
        return {**self._pauses, **{cause: reason for cause, (_, reason) in self._pauses_of.items()}}

    def halt(self, reason: str, now: datetime | None = None, *, flatten: bool = False) -> None:
        """Stop until a person calls :meth:`rearm`; with a kill switch, over restarts too, and with ``flatten`` what is
        held is closed."""
        self._state, self._reason = State.HALTED, reason
        if self.kill is not None:
            self.kill.engage(reason, now, flatten=flatten)

    def rearm(self) -> None:
        """A person's word that trading may go on: halt, kill switch and limits for good are taken back, and what
        is lost until now counts towards no limit for good any more."""
        if self.kill is not None:
            self.kill.rearm()
        self._state, self._reason = State.ACTIVE, ""
        self.ledger.rearm()

    def classify(self, orders: Sequence[Proposal]) -> list[Proposal]:
        """The same orders, each with ``reduces`` as the book sees it when those before it are working."""
        before = self.ledger.checkpoint()
        try:
            return [self._assume(order) for order in orders]
        finally:
            self.ledger.restore(before)

    def judge(self, orders: Sequence[Proposal]) -> Denial | None:
        """None, and all ``orders`` count as working; or the reason, and none of them does.

        They are judged as one: each with those before it (a bracket's parent) taken as allowed. An order
        whose ref is working already is judged as a change of that order. ``reduces`` is the ledger's to
        say, whatever the proposal claims.
        """
        self.judged += len(orders)
        before = self.ledger.checkpoint()
        denial: Denial | None = None
        try:
            for order in orders:
                denial = self._judge(order)
                if denial is not None:
                    break
        except Exception as error:  # noqa: BLE001 - doubt refuses, whatever broke
            denial = Denial("RiskGate", f"the gate could not judge the order ({type(error).__name__}: {error})")
        if denial is not None:
            self.ledger.restore(before)
            self.denials[self._label(denial)] += len(orders)
        return denial

    def deny(self, denial: Denial, orders: int = 1) -> Denial:
        """Count a refusal that was decided elsewhere (warm-up, a market that is closed), and give it back."""
        self.judged += orders
        self.denials[self._label(denial)] += orders
        return denial

    @property
    def denied(self) -> int:
        """Orders refused so far."""
        return self.denials.total()

    def summary(self) -> str:
        """``37 of 40 orders denied: max position 10 % (risk.max_position_pct)``; empty if none was."""
        if not self.denials:
            return ""
        noun = "order" if self.judged == 1 else "orders"
        ranked = self.denials.most_common()
        causes = ranked[0][0] if len(ranked) == 1 else ", ".join(f"{count} × {label}" for label, count in ranked)
        return f"{self.denied} of {self.judged} {noun} denied: {causes}"

    def _assume(self, order: Proposal) -> Proposal:
        order = replace(order, reduces=self.ledger.reduces(order))
        self.ledger.allowed(order)
        return order

    def _judge(self, order: Proposal) -> Denial | None:
        order = replace(order, reduces=self.ledger.reduces(order))
        if not order.reduces and (state := self.state) is not State.ACTIVE:
            latched = self.ledger.latched
            if state is State.REDUCING and latched is not None:
                return latched
            if state is State.REDUCING and not self._reason:
                return Denial(next(iter(self._pauses)), f"{self.reason}: {ONLY_REDUCING}")
            return Denial(f"gate {state}", f"{self.reason or f'the gate is {state}'}: {ONLY_REDUCING}")
        if not order.reduces:
            for cause, (key, reason) in self._pauses_of.items():
                if key == order.instrument.key:
                    return Denial(cause, f"{reason}: {ONLY_REDUCING}")
        if self.noted is not None:
            self.noted[order.ref] = verdicts(order, self.rules, self.ledger)
        denial = check(order, self.rules, self.ledger)
        if denial is None:
            self.ledger.allowed(order)
        elif any(rule.latches and type(rule).__name__ == denial.rule for rule in self.rules):
            denial = replace(denial, reason=f"{denial.reason}; {UNTIL_ARMED}")
            self.ledger.latched = denial
        return denial

    def _label(self, denial: Denial) -> str:
        title = next((rule.title for rule in self.rules if type(rule).__name__ == denial.rule), denial.rule)
        key = denial.key or (self._purse() if denial.funds else "")
        return f"{title} ({key})" if key else title

    def _purse(self) -> str:
        """What bounds the funds: the capital allotted, or, if that is less, what Kite says is there."""
        limit, book = self.ledger.funds_limit, self.ledger
        return "broker.capital" if limit is None or limit >= book.cash - book.committed() else "the margin at Kite"
