"""The one gate: every order, in every mode, is judged here before it goes anywhere.

What it refuses is *denied* (ours), never *rejected* (Kite's). Orders are judged on Cerebro's thread. What is lost is
also looked at without an order, at every mark: :meth:`RiskGate.watch`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from ..values import Denial, Proposal
from .base import HALF_A_PAISA, Rule, Watched
from .kill import KillSwitch
from .ledger import Ledger
from .rules import check
from .verdicts import verdicts

ONLY_REDUCING = "only orders that reduce the position pass"
UNTIL_ARMED = f"{ONLY_REDUCING} until a person resumes trading (end the run, then `btkite resume`)"
TODAY = f"{ONLY_REDUCING} for the rest of the day"


class State(StrEnum):
    """What the gate lets through. Cancels always pass."""

    ACTIVE = "active"  # what the rules allow
    REDUCING = "reducing"  # only orders that reduce; left by itself when the cause is gone, or the day is over
    HALTED = "halted"  # only orders that reduce; left by a person: `btkite resume`


class RiskGate:
    """``rules`` over ``ledger``, behind three states and the kill switch.

    ``steps`` are the keys of ``risk`` that are no limits: ``reduce_at_pct`` (per cent of a loss limit from which
    on the gate is REDUCING), ``on_daily_loss`` and ``on_halt`` (``flatten``: what is held is closed too).
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        ledger: Ledger,
        *,
        state: State = State.ACTIVE,
        kill: KillSwitch | None = None,
        steps: Mapping[str, Any] | None = None,
    ) -> None:
        self.rules = tuple(rules)
        self.sized = tuple(rule for rule in self.rules if not rule.timed)  # what a smaller size may satisfy
        self.watched = tuple(rule for rule in self.rules if isinstance(rule, Watched))
        self.kill = kill
        self.judged = 0
        self.denials: Counter[str] = Counter()
        self.noted: dict[int, list[dict[str, Any]]] | None = None  # by ref, what each rule said; None: nobody asks
        steps = steps or {}
        self._reduce_at: float | None = steps.get("reduce_at_pct")
        self._closes_the_day = steps.get("on_daily_loss") == "flatten"
        self._closes_for_good = steps.get("on_halt") == "flatten"
        self._remembers = max((getattr(rule, "seconds", -1.0) for rule in self.rules), default=-1.0)
        self._state = state
        self._reason = ""
        self._pauses: dict[str, str] = {}
        self._pauses_of: dict[str, tuple[str, str]] = {}  # cause -> the one instrument that it is about, reason
        self.ledger = ledger

    @property
    def ledger(self) -> Ledger:
        """The book that orders are judged by; after a restart another one."""
        return self._ledger

    @ledger.setter
    def ledger(self, ledger: Ledger) -> None:
        self._ledger = ledger
        ledger.remembers = self._remembers

    @property
    def state(self) -> State:
        """HALTED while the kill switch is engaged or once a limit for good was passed; REDUCING once one of the day
        was, near a limit (``reduce_at_pct``), or while it is paused."""
        if self._state is State.HALTED or self.ledger.latched is not None:
            return State.HALTED
        if self.kill is not None and self.kill.engaged():
            return State.HALTED
        if self.ledger.stopped is not None or self._pauses or self._near() is not None:
            return State.REDUCING
        return self._state

    @property
    def reason(self) -> str:
        """Why the gate is not ACTIVE; empty if it is."""
        if self.kill is not None and self.kill.engaged():
            return f"the kill switch is engaged ({self.kill.reason})"
        if self._state is State.HALTED:
            return self._reason
        if (denial := self._passed()) is not None:
            return denial.reason
        return self._reason or "; ".join(self._pauses.values())

    # -- what is lost -----------------------------------------------------------------------------

    def watch(self) -> Denial | None:
        """Hold the account to its loss limits, after a mark or a fill. A limit that is passed now, and was not before,
        is given back: for the day it is *stopped*, and past a limit for good *latched* until a person arms it."""
        for rule in self.watched:
            if (self.ledger.latched if rule.latches else self.ledger.stopped) is not None:
                continue
            reason = rule.passed(self.ledger)
            if reason is not None:
                return self._pass(rule, reason)
        return None

    def floors(self) -> list[tuple[float, bool]]:
        """₹ of account value below which one of the limits that are not passed yet may be, each with whether that
        follows the account's best up, at most rupee for rupee."""
        found = []
        for rule in self.watched:
            if (self.ledger.latched if rule.latches else self.ledger.stopped) is None:
                lost, most = rule.lost(self.ledger)
                found.append((self.ledger.value + lost - most, rule.follows))
        return found

    def _pass(self, rule: Rule, reason: str) -> Denial:
        until = UNTIL_ARMED if rule.latches else TODAY
        denial = Denial(type(rule).__name__, f"{reason}; {until}", rule.key)
        if rule.latches:
            self.ledger.latched = denial
        else:
            self.ledger.stopped = denial
        return denial

    def _near(self) -> Denial | None:
        """That a loss limit is nearly used up, if that is to be heeded."""
        if self._reduce_at is None:
            return None
        for rule in self.watched:
            lost, most = rule.lost(self.ledger)
            if lost > most * self._reduce_at / 100 + HALF_A_PAISA:
                near = f"more than {self._reduce_at:g} % of {rule.title} are used up"
                return Denial(type(rule).__name__, f"{near}; {ONLY_REDUCING}", "risk.reduce_at_pct")
        return None

    def _passed(self) -> Denial | None:
        """The first word against every entry that a loss has brought about."""
        return self.ledger.latched or self.ledger.stopped or self._near()

    @property
    def stops(self) -> tuple[Denial, ...]:
        """The loss limits that were passed, for good and for the day. What opens is cancelled for them."""
        latched, stopped = self.ledger.latched, self.ledger.stopped
        if latched is not None and not any(type(rule).__name__ == latched.rule for rule in self.watched):
            latched = None  # it was shut by something else
        return tuple(denial for denial in (latched, stopped) if denial is not None)

    @property
    def closing(self) -> Denial | None:
        """For which of them what is held is to be closed; None if for none."""
        for denial in self.stops:
            if self._closes_the_day if denial is self.ledger.stopped else self._closes_for_good:
                return denial
        return None

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
        if (closing := self.closing) is not None:  # an order of the strategy's would trade it twice
            return replace(closing, reason=f"{closing.reason}; what is held is being closed")
        if not order.reduces and (state := self.state) is not State.ACTIVE:
            shut = self._state is State.HALTED or (self.kill is not None and self.kill.engaged())
            if not shut and (passed := self._passed()) is not None:
                return passed
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
        else:
            for rule in self.watched:
                if type(rule).__name__ == denial.rule:
                    return self._pass(rule, denial.reason)
        return denial

    def _label(self, denial: Denial) -> str:
        title = next((rule.title for rule in self.rules if type(rule).__name__ == denial.rule), denial.rule)
        key = denial.key or (self._purse() if denial.funds else "")
        return f"{title} ({key})" if key else title

    def _purse(self) -> str:
        """What bounds the funds: the capital allotted, or, if that is less, what Kite says is there."""
        limit, book = self.ledger.funds_limit, self.ledger
        return "broker.capital" if limit is None or limit >= book.cash - book.committed() else "the margin at Kite"
