"""Outside: what others do in the account, in the instruments of the run: by hand, by another program, by the broker.

Their orders carry no tag of ours. What they trade is applied by ``broker.foreign``: our position follows, or it is
theirs; and whatever the policy, an exit of ours never turns the account round: resting exits shrink or go as soon as
it is known, new ones beyond what the account holds are denied, and delivered shares that our orders have not bought
are never sold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import backtrader as bt

from ..kite.desk import Cancel
from ..linetime import from_seconds, to_seconds
from ..log import get_logger
from ..orders.progress import Progress, apply
from ..orders.reconcile import DELIVERED, Exit, Whose, closable, divide, trim, whose
from ..risk.gate import UNTIL_ARMED
from ..slots import trade_id, trades_in
from ..values import Denial, OrderUpdate, Proposal
from .carrying import Carrying
from .changes import reshape
from .demat import not_bought
from .orders import whole_ref
from .record import Booked
from .terms import Terms

log = get_logger(__name__)
_KINDS = {True: bt.order.BuyOrder, False: bt.order.SellOrder}


class Others:
    """What is others' in one instrument, by product: units held when we first looked, and traded since."""

    def __init__(self, saved: Mapping[str, Sequence[int]] | None = None) -> None:
        self._slots = {product: (int(pair[0]), int(pair[1])) for product, pair in (saved or {}).items()}

    def of(self, product: str) -> tuple[int, int]:
        """Before, and since."""
        return self._slots.get(product, (0, 0))

    def held(self, product: str) -> int:
        return sum(self.of(product))

    def begin(self, product: str, units: int) -> None:
        """It was there when we first looked."""
        self._slots[product] = (units, 0)

    def add(self, product: str, units: int) -> None:
        """They have traded it."""
        before, since = self.of(product)
        self._slots[product] = (before, since + units)

    def products(self) -> Iterable[str]:
        return self._slots

    def state(self) -> dict[str, list[int]]:
        return {product: list(pair) for product, pair in self._slots.items()}


class Outside(Carrying):
    """The part of the account that is not the run's."""

    def init(self) -> None:
        super().init()
        self._runs: set[str] = set()  # names of this run and of those before it, in the tags of their orders
        self._others: dict[str, Others] = {}  # of instruments that were looked at
        self._strangers: dict[str, Progress] = {}
        self._closing: set[int] = set()  # refs of what waits to close what another order may still close
        self._overhang: set[str] = set()  # instruments whose exits are still to shrink
        self._shrinking = False
        self._past: dict[str, Booked] | None = None  # by Kite's id, what earlier runs have booked

    # -- orders of others -------------------------------------------------------------------------------

    def take_stranger(self, update: OrderUpdate) -> None:
        """An order that none of ours is: of others, or of ours that is long over."""
        key = f"{update.exchange}:{update.tradingsymbol}"
        if key not in self.instruments():
            return
        past = whose(update, (), (), self._runs) is Whose.PAST
        known = self._strangers.get(update.order_id)
        if known is None:
            log.info("an order of others", order_id=update.order_id, symbol=key, tag=update.tag, past=past)
            known = self._booked(update) if past else None
        progress, fill = apply(known, update, from_seconds(max(self.now, 0)))
        self._strangers[update.order_id] = progress
        if past and not update.terminal:
            self._cancel_past(update)
        if fill is not None and key in self._others:  # else what the account holds is looked at, and that is in it
            units = fill.quantity if update.transaction_type == "BUY" else -fill.quantity
            self.outside(key, update.product, units, fill.price, fill.time, update.order_id, ours=past)

    def _booked(self, update: OrderUpdate) -> Progress:
        """What the runs before this one have booked of an order of theirs; the book that tells of it may be older."""
        units, value, _ = self.booked(update.order_id)
        price = value / units if units else 0.0
        return Progress(update.order_id, filled=units, average_price=price, told=(units, price), booked=value)

    def booked(self, order_id: str) -> Booked:
        if self._past is None:
            self._past = self.record.booked() if self.record is not None else {}
        return self._past.get(order_id, Booked())

    def _cancel_past(self, update: OrderUpdate) -> None:
        """An order of a run before this one that nobody here knows: the strategy was told that it is no more."""
        self.alert("critical", f"order {update.order_id} of an earlier run still works: it is cancelled", "past")
        self._desk.submit(Cancel(0, update.order_id, update.variety or "regular"))

    def outside(
        self,
        key: str,
        product: str,
        units: int,
        price: float,
        when: datetime,
        order_id: str = "",
        *,
        ours: bool = False,
    ) -> None:
        """``units`` (signed) were traded that none of our orders stands for; ``ours``: our tag was on them."""
        others = self._others.setdefault(key, Others())
        policy = self.config.broker.foreign
        follows = ours or (policy != "ignore" and product == self.own_product(key))
        share = divide(units, self._size(key), 0 if ours else others.held(product), product, follows=follows)
        if share.others:
            others.add(product, share.others)
        halts = policy == "halt" and not ours
        if halts and self.ledger.latched is None:
            what = f"{abs(units)} {key} ({product}) were {'bought' if units > 0 else 'sold'} by others"
            self.ledger.latched = Denial("foreign", f"{what}; {UNTIL_ARMED}", "broker.foreign")
        for order in self._beside(key):  # before a book is written: a restart looks at them, too
            order.addinfo(shrinks=True)
        # What is followed is in the book with its fill, whole or not at all: a restart counts the rest again.
        write = self.remark if share.ours else self._write
        write(
            "foreign", order_id=order_id, symbol=key, product=product, quantity=units, price=price,
            followed=share.ours, policy="ours" if ours else policy,
        )  # fmt: skip
        self._say(key, product, units, price, share.ours, _source(order_id, ours=ours), halts=halts)
        self._moves += 1
        if share.ours:
            self.follow(key, product, share.ours, price, when, order_id)
        self._overhang.add(key)
        self.shrink_exits()

    def _say(
        self, key: str, product: str, units: int, price: float, followed: int, source: str, *, halts: bool
    ) -> None:
        verb = "bought" if units > 0 else "sold"
        then = "our position follows" if followed == units else "it is theirs"
        if followed not in (0, units):
            then = f"our position follows with {abs(followed)}"
        also = f"; {UNTIL_ARMED}" if halts else ""
        self.alert(
            "critical" if halts else "warning",
            f"{abs(units)} {key} ({product}) {verb} at {price:g} from outside ({source}): {then}{also}",
            f"foreign {key}",
        )

    def follow(self, key: str, product: str, units: int, price: float, when: datetime, order_id: str) -> Any:
        """Our position follows by a simulated order that is complete at once."""
        data = self._datas[key]
        strategies = getattr(self.cerebro, "runningstrats", None) or [None]
        # By identity: ``in`` would compare the lines' values.
        mine = (one for one in strategies if one is not None and any(trades_in(data) is other for other in one.datas))
        owner = next(mine, strategies[0])
        order = _KINDS[units > 0](
            owner=owner, data=trades_in(data), size=abs(units), price=price, exectype=bt.Order.Market, simulated=True,
            tradeid=trade_id(data, key),
        )  # fmt: skip
        order.created.dt = data.date2num(when)
        order.addcomminfo(self.getcommissioninfo(data))
        order.addinfo(adopted=True, foreign=order_id or True, instrument=key, product=product)
        self.orders[order.ref] = order
        self.terms[order.ref] = Terms(None, False, "next_open")
        self._bound[order.ref] = self.instrument_named(key, data)
        order.status = bt.Order.Accepted
        self.filled(order, abs(units), price, to_seconds(when), order_id)
        return order

    # -- what is whose ----------------------------------------------------------------------------------

    def instruments(self) -> set[str]:
        """Keys of what this run trades or holds."""
        ours = {self.instrument_of_order(order).key for order in self.orders.values() if order.alive()}
        return {key for key, _, _ in self.holds()} | ours | set(self._datas)

    def _size(self, key: str) -> int:
        position = self._positions.get(key)
        return int(position.size) if position is not None else 0

    def own_product(self, key: str) -> str:
        """The product in which this run holds an instrument, or would."""
        if self._size(key):
            return self.product_of(key)
        working = [one for one in self.orders.values() if one.alive() and self.instrument_of_order(one).key == key]
        if working:
            return self.product_of_order(working[0])
        default = self.config.broker.default_product
        derivative = key in self._datas and key.partition(":")[0] not in ("NSE", "BSE")
        return "NRML" if derivative and default in DELIVERED else default

    def closable(self, key: str, product: str) -> tuple[int, int]:
        """Units that exits may sell, and buy back."""
        size = self._size(key) if self.product_of(key) == product else 0
        others = self._others.get(key)
        return closable(size, *(others.of(product) if others is not None else (0, 0)))

    # -- our exits --------------------------------------------------------------------------------------

    def shrink_exits(self) -> None:
        """Resting exits that would turn the account round shrink, or go. What cannot be changed now is tried again."""
        for key in sorted(self._overhang):
            wanted = self._too_large(key)
            if not wanted:
                self._overhang.discard(key)
            for ref, left in wanted.items():
                order = self.orders[ref]
                if left <= 0:
                    self.cancel(order)
                elif not self.is_leaving(order):
                    self._shrink(order, left)

    def _beside(self, key: str) -> list[Any]:
        """Our exits of an instrument; others may have traded beside them, and then they may have to shrink."""
        return [self.orders[one.ref] for exits in self._exits(key).values() for one in exits]

    def filled(self, order: Any, quantity: int, price: float, when: int, order_id: str = "") -> None:
        """What one exit leaves for the next to close, others may have closed already."""
        super().filled(order, quantity, price, when, order_id)
        key = self.instrument_of_order(order).key
        if any(one.info.get("shrinks") for one in self._beside(key)):
            self._overhang.add(key)

    def regroup(self) -> None:
        super().regroup()
        marked = (order for order in self.orders.values() if order.alive() and order.info.get("shrinks"))
        self._overhang.update(self.instrument_of_order(order).key for order in marked)

    def _shrink(self, order: Any, left: int) -> None:
        """A bracket's exits grow again with what its entry fills from now on; that is its group's to say."""
        self.groups.closed_by_others(order.ref, left)
        self._react(order.ref)
        if abs(order.executed.remsize) <= left:
            return
        self._shrinking = True
        try:
            self.modify(order, size=int(abs(order.executed.size)) + left)
        finally:
            self._shrinking = False

    def _take_terms(self, order: Any, update: OrderUpdate) -> None:
        """Also an exit that could not shrink is asked to do so again, after ever longer waits."""
        super()._take_terms(order, update)
        for ref, left in self._too_large(self.instrument_of_order(order).key).items():
            if left > 0 and self.orders[ref].info.get("shrinks"):
                self._try_again(ref)

    def ask_again(self, now: int) -> None:
        due = (self.orders[ref] for ref, at in self._again.items() if at <= now)
        self._overhang.update(self.instrument_of_order(one).key for one in due if one.info.get("shrinks"))
        super().ask_again(now)

    def _flatten(self, entry: Any, size: int) -> None:
        """Of an entry whose exit had to shrink, no more than the account bears: the rest is closed already."""
        exits = (one for one in self.orders.values() if one.parent is not None and one.parent.ref == entry.ref)
        if size > 0 and any(one.info.get("shrinks") for one in exits):
            key = self.instrument_of_order(entry).key
            sells, buys = self.closable(key, self.product_of_order(entry))
            way = -1 if entry.isbuy() else 1
            offered = {one.slot: one.remaining for one in self._exits(key)[way]}
            size = min(size, (sells if way < 0 else buys) - sum(offered.values()))
            if size <= 0:
                return
        super()._flatten(entry, size)

    def _too_large(self, key: str) -> dict[int, int]:
        sells, buys = self.closable(key, self.product_of(key))
        exits = self._exits(key)
        found = trim(exits[-1], sells) | trim(exits[1], buys)
        return {ref: left for ref, left in found.items() if left or not self._goes(self.orders[ref])}

    def _goes(self, order: Any) -> bool:
        return order.ref in self._leaving or order.ref in self._unwanted

    def _exits(self, key: str) -> dict[int, list[Exit]]:
        """Working exits by the side on which they trade; a bracket's child only if its entry has traded."""
        found: dict[int, list[Exit]] = {1: [], -1: []}
        for order in self.orders.values():
            if not order.alive() or self.instrument_of_order(order).key != key or not self.ledger.is_exit(order.ref):
                continue
            parent = order.parent
            if parent is not None and parent.isbuy() != order.isbuy() and not parent.executed.size:
                continue
            slot = (
                ("parent", parent.ref) if parent is not None else ("order", self.groups.leader(order.ref) or order.ref)
            )
            remaining = int(abs(order.executed.remsize))
            found[1 if order.isbuy() else -1].append(Exit(order.ref, slot, remaining, order.ref))
        return found

    def unfit(self, group: Sequence[Any]) -> Denial | None:
        """Also an exit that the account could not bear, and a sale of shares that our orders have not bought."""
        return super().unfit(group) or (None if self._flattening else self._not_ours(group))

    def uncovered(self, order: Any, wanted: Proposal) -> Denial | None:
        """:meth:`_not_ours` says it, which knows what is on its way out of the market."""
        return None

    def _not_ours(self, group: Sequence[Any]) -> Denial | None:
        for order in group:
            if order.parent is not None:
                continue
            instrument = self.instrument_of_order(order)
            key, product = instrument.key, self.proposal(order).product
            wanted = int(abs(order.size) - abs(order.executed.size))
            if self._delivers(order, product):
                short = wanted - self._deliverable(order, key, product)
                if short > 0:
                    return not_bought(short, wanted, key, product)
            elif key in self._others and self._others[key].of(product)[1] and self.is_exit(order):
                sells, buys = self.closable(key, product)
                way = 1 if order.isbuy() else -1
                mine = ("order", self.groups.leader(order.ref) or order.ref)
                slots = {one.slot: one.remaining for one in self._exits(key)[way] if one.slot != mine}
                most = (buys if way > 0 else sells) - sum(slots.values())
                if wanted > most:
                    return Denial(
                        "account",
                        f"others have traded {key}: the account bears an exit of {max(most, 0)}, not of {wanted}, "
                        "which would turn it round",
                        "broker.foreign",
                    )
        return None

    def _delivers(self, order: Any, product: str) -> bool:
        """Whether it sells shares that are delivered."""
        exchange = self.instrument_of_order(order).exchange
        return product in DELIVERED and exchange in ("NSE", "BSE") and not order.isbuy()

    def going(self) -> Collection[int]:
        refs = {whole_ref(ref) for ref in self._leaving} - self._replacing
        return {ref for ref in refs if ref in self.orders and self._goes(self.orders[ref])} if refs else ()

    def follows(self, order: Any) -> bool:
        """Whether it closes what another order, whose cancellation is on its way, may still close: it has to wait
        for that one's end, or both could trade."""
        free = self._flattening or order.ref in self._safety or order.ref < 0  # a slice: its order has waited
        wanted = self.proposal(order)
        if not free and wanted.reduces and not self.ledger.reduces(wanted, at_once=True):
            self._closing.add(order.ref)
            return True
        key, product = self.instrument_of_order(order).key, self.product_of_order(order)
        if not self._delivers(order, product):
            return False
        left = self._deliverable(order, key, product, going=True)
        # Without such a sale there is nothing to wait for, whatever the account says (in the morning, nothing yet).
        return int(abs(order.executed.remsize)) > left and left < self._deliverable(order, key, product)

    def closes_what_is_left(self, order: Any) -> bool:
        """What it waited for may have closed some of it: it becomes no larger than what is held. False if that is
        nothing."""
        self._closing.discard(order.ref)
        held = self.ledger.position(self.instrument_of_order(order).key).quantity
        left = min(int(abs(order.executed.remsize)), -held if order.isbuy() else held)
        if left > 0:
            reshape(order, abs(order.executed.size) + left)
            self.ledger.working(order.ref, left)
        return left > 0

    def _deliverable(self, wanted: Any, key: str, product: str, *, going: bool = False) -> int:
        """Delivered shares that ``wanted`` may sell: ours, less what other orders sell already; ``going``: also those
        whose cancellation is on its way."""
        sells, _ = self.closable(key, product)
        slots: dict[int, int] = {}
        for order in self.orders.values():
            if not order.alive() or order.isbuy() or order.status == bt.Order.Created or order is wanted:
                continue
            if self._goes(order) and not going:
                continue
            if self.instrument_of_order(order).key != key or (
                order.parent is not None and not order.parent.executed.size
            ):
                continue
            slot = self._slot(order)
            slots[slot] = max(slots.get(slot, 0), int(abs(order.executed.remsize)))
        slots.pop(self._slot(wanted), None)
        return sells - sum(slots.values())

    def _slot(self, order: Any) -> int:
        """Whom it shares its units with: exits of one entry, members of one group."""
        return int(order.parent.ref if order.parent is not None else self.groups.leader(order.ref) or order.ref)

    def _judge_change(self, order: Any, grows: bool, *, moves: bool) -> Denial | None:
        denial = super()._judge_change(order, grows, moves=moves)
        if denial is None and grows and not self._shrinking and order.status != bt.Order.Created:
            denial = self._not_ours([order])
        return denial


def _source(order_id: str, *, ours: bool) -> str:
    """Where units came from, in words."""
    if not order_id:
        return "no order explains it"
    return f"order {order_id}, which is {'of an earlier run' if ours else 'not ours'}"
