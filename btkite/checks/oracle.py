"""The oracle: what btkite promises, each promise a function over the exchange's book and what btkite said of it.

It yields a sentence for each way in which a day broke the promise. The exchange's own book and its request log are
the judge; the journal and the strategy's ear are what is judged. Where a fault excuses something, the place says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from ..brokers.orders import whole_ref
from .acts import KILL, ORDER
from .asked import asked, targets_have_their_price
from .books import exits_of_brackets, no_reversal, one_placement_at_a_time
from .doubt import (
    changes_within_the_cap,
    dead_token_rests,
    late_bars_are_marked,
    no_entry_in_doubt,
    others_shares_stay,
    waits_for_the_login,
    within_the_minute,
)
from .evidence import OVER, Evidence, Row, key_of
from .kept import (
    entries_have_exits,
    exits_fit_the_account,
    flattened,
    kill_leaves_exits,
    pairs_end_together,
    rests_as_asked,
    strategy_is_told,
    wanted_cancels,
    written_down,
)
from .money import charges, realized
from .scenario import RESTLESS
from .seen import bars_in_order, bars_true

_ANEW = timedelta(seconds=85)
"""After this long, what reduces may be sent again under its tag: 90 s, less what rounding to seconds takes."""
_WINDOW = timedelta(seconds=1.1)
"""One calendar second of Kite's clock, whatever ours says."""
_MOST = 10
_FIRST = ("/orders", "/portfolio/positions")
_ENDED = {
    "COMPLETE": ("Completed",),
    "CANCELLED": ("Canceled", "Expired"),
    "CANCELLED AMO": ("Canceled", "Expired"),
    "REJECTED": ("Rejected", "Margin"),
}
_PASSED = ("Completed", "Canceled", "Expired", "Rejected", "Margin")


def never_twice(e: Evidence) -> Iterator[str]:
    tags = Counter(str(order["tag"]) for order in e.ours if order.get("tag"))
    for tag, count in sorted(tags.items()):
        if count > 1:
            yield f"{count} orders of the tag {tag} are in the exchange's book"
    sent: dict[str, list[Row]] = {}
    for row in e.placements:
        if row["status"] != 403:  # a dead token, or an address: Kite looked no further, and the order waits
            sent.setdefault(str(row["form"].get("tag") or ""), []).append(row)
    for tag, rows in sorted(sent.items()):
        for first, again in pairwise(rows):
            gap = _time(again) - _time(first)
            if not e.intents.get(tag, {}).get("reduces"):
                yield f"the entry of the tag {tag} was sent again after {gap.total_seconds():g} s"
            elif gap < _ANEW:
                yield f"the exit of the tag {tag} was sent again after {gap.total_seconds():g} s, still in doubt"
    yield from one_placement_at_a_time(e)


def never_lost(e: Evidence) -> Iterator[str]:
    for order in e.ours:
        if str(order.get("tag") or "") not in e.intents:
            yield f"the order {order['order_id']} is in the exchange's book, and the journal announced none of its tag"
    here = {str(row["order_id"]): row for row in e.known if row["order_id"]}
    rests = {str(order["order_id"]): order for order in e.ours if order["status"] not in OVER}
    for order_id, order in rests.items():
        if order_id not in here or not here[order_id]["alive"]:
            said = here[order_id]["status"] if order_id in here else "unknown"
            yield f"{_order(order)} works at the exchange, and here it is {said}"
    for row in e.known:
        if row["uncertain"]:
            yield f"order {row['ref']} is still uncertain at the end"
        elif row["there"] and not row.get("sliced") and row["order_id"] not in rests and row["ref"] not in e.latest:
            there = next((o["status"] for o in e.ours if str(o["order_id"]) == row["order_id"]), "unknown")
            yield f"order {row['ref']} ({row['order_id'] or 'no id'}) works here, and at the exchange it is {there}"


def position_true(e: Evidence) -> Iterator[str]:
    if e.held != e.wanted:
        what = "our orders have traded" if e.scenario.policy == "ignore" else "the account holds"
        yield f"the strategy holds {_sizes(e.held)} at the end, and {what} {_sizes(e.wanted)}"


def fills_true(e: Evidence) -> Iterator[str]:
    """Each execution is booked once, at its price."""
    booked: dict[str, list[tuple[int, float]]] = {}
    for event in e.day.events:
        if event.kind == "fill" and event.data.get("order_id"):
            pair = int(event.data["quantity"]), float(event.data["price"])
            booked.setdefault(str(event.data["order_id"]), []).append(pair)
    for order in e.ours:
        fills = booked.get(str(order["order_id"]), [])
        units, value = sum(n for n, _ in fills), sum(n * price for n, price in fills)
        filled = int(order["filled_quantity"])
        if units != filled:
            yield f"{_order(order)} has traded {filled}, and {units} are booked"
        elif abs(value - filled * float(order["average_price"])) > 0.01 + 1e-6 * value:
            yield f"{_order(order)} has traded at {order['average_price']}, and is booked at {value / units:.4f}"


def executions_grow(e: Evidence) -> Iterator[str]:
    """What the strategy is told of an order: never less than before, never more than its size, one end."""
    seen: dict[int, float] = {}
    over: dict[int, str] = {}
    for line in e.day.told:
        if line["adopted"] and not line["given"]:
            continue  # a position, or what others did
        ref, filled, status = line["ref"], abs(line["filled"]), line["status"]
        if filled < seen.get(ref, 0):
            yield f"order {ref} was told as filled {filled:g} after {seen[ref]:g}"
        if filled > abs(line["size"]):
            yield f"order {ref} of {abs(line['size']):g} was told as filled {filled:g}"
        if ref in over and not line["adopted"]:
            yield f"order {ref} was told as {status} after it had ended as {over[ref]}"
        seen[ref] = filled
        if status in _PASSED:
            over[ref] = status


def ends_true(e: Evidence) -> Iterator[str]:
    """Every order ends as Kite's book says."""
    orders = {str(order["order_id"]): order for order in e.ours}
    sharing = Counter(row["order_id"] for row in e.known)
    for row in e.known:
        order = orders.get(row["order_id"])
        if order is None or row["alive"] or sharing[row["order_id"]] > 1 or order["status"] not in OVER:
            continue
        if row["status"] not in _ENDED[order["status"]]:
            yield f"{_order(order)} is {order['status']}, and order {row['ref']} ended as {row['status']}"
    if e.day.deaths:  # a life that ends forgets what was over
        return
    told = {line["ref"] for line in e.day.told}
    for order in e.ours:
        intent = e.intents.get(str(order.get("tag")))
        if intent is not None and whole_ref(int(intent["ref"])) not in told:
            yield f"{_order(order)} is {order['status']}, and the strategy was told nothing of order {intent['ref']}"


def within_the_limits(e: Evidence) -> Iterator[str]:
    """No 429 that is our own doing, no more than ten order calls in any 1.1 s."""
    for row in e.day.requests:
        if row["status"] == 429 and not row["fault"]:
            yield f"{row['method']} {row['path']} at {_time(row):%H:%M:%S} was one call too many"
    times = [_time(row) for row in e.order_calls]
    for first, last in zip(times, times[_MOST:], strict=False):
        if last - first < _WINDOW:
            yield f"more than {_MOST} order calls went out in the 1.1 s from {first:%H:%M:%S.%f}"
            return


def reconciled_first(e: Evidence) -> Iterator[str]:
    """Before a life's first order call, the account was read."""
    bounds = [*e.day.began, len(e.day.requests)]
    for number, (first, last) in enumerate(pairwise(bounds), 1):
        read: set[str] = set()
        for row in e.day.requests[first:last]:
            if row["method"] == "GET" and row["status"] == 200:
                read.add(row["path"])
            elif row in e.order_calls and not read >= set(_FIRST):
                missing = ", ".join(sorted(set(_FIRST) - read))
                yield f"life {number} sent {row['method']} {row['path']} before it had read {missing}"
                break


def heeds_the_kill(e: Evidence) -> Iterator[str]:
    """Once the kill switch is set, nothing that opens a position leaves."""
    if not e.acted(KILL) or e.day.killed_at is None:
        return
    for row in e.placements:
        tag = str(row["form"].get("tag") or "")
        if row["seq"] > e.day.killed_at and not e.intents.get(tag, {}).get("reduces"):
            yield f"the entry of the tag {tag} was sent after the kill switch was set"


def repaired_bars_are_history(e: Evidence) -> Iterator[str]:
    """No entry that was decided on a bar which came late."""
    if e.scenario.strategy != RESTLESS or e.scenario.keys.get("data.trade_repaired"):
        return  # only of that one it is known that it decides in next() alone
    sent = {str(row["form"].get("tag") or "") for row in e.placements}
    refs = {
        row["ref"]: tag for tag, row in e.intents.items() if not row["reduces"] and not row["parent"] and tag in sent
    }
    last = 0
    for bar in e.day.bars:
        if bar["repaired"]:
            for ref in range(last + 1, bar["newest"] + 1):
                if ref in refs:
                    yield f"the entry {ref} was decided on the repaired bar of {bar['at']}, and was sent"
        last = bar["newest"]


_PRICES_LIE = (
    "bad_tick", "ticks_frozen", "heartbeat_only", "ticks_out_of_order", "malformed_frame", "price_spike", "clock_skew",
    "socket_half_open", "socket_cut", "half_frame", "upgrade_refused", "modify_races_trigger",
)  # fmt: skip
"""What keeps us from knowing the last price."""
_BOOK_LIES = (
    "order_update_lost", "order_update_delayed", "order_update_reordered", "partial_after_complete", "stale_orders",
    "rms_rejection", "modify_races_trigger", "heartbeat_only", "socket_cut", "socket_half_open", "half_frame",
    "upgrade_refused",
)  # fmt: skip
"""What keeps us from knowing how an order stands."""


def nothing_that_kite_refuses(e: Evidence) -> Iterator[str]:
    """No order call that Kite turns away, as far as we could know."""
    for row in e.order_calls:
        if row["fault"] or not 400 <= (row["status"] or 0) < 500 or row["status"] in (403, 429):
            continue
        placing = row["method"] == "POST"
        if placing and e.happened("margin_shortfall", *_PRICES_LIE):
            continue
        if not placing and (e.happened(*_BOOK_LIES, *_PRICES_LIE) or e.day.deaths or e.uncertain or e.acted(ORDER)):
            continue
        wish = None if placing else e.wish_of(row)
        if wish is not None and wish.first["parent"]:
            continue  # a bracket's exit grows with each fill of its entry, at the price of that moment
        ref = int(e.intents.get(str(row["form"].get("tag") or ""), {}).get("ref", 0))
        if placing and whole_ref(ref) in e.midway:
            continue  # it was given in answer to news, at a price that only the exchange knew
        if placing and (e.day.deaths or e.intents.get(str(row["form"].get("tag") or ""), {}).get("parent")):
            continue  # what was decided before a death, or as a bracket's exit, leaves later, at another price
        yield f"Kite refused {row['method']} {row['path']} of {_time(row):%H:%M:%S} with {row['status']}: {row['form']}"


def runs_to_the_end(e: Evidence) -> Iterator[str]:
    """The run ends as it should, and its last life had its say."""
    code = e.day.codes[-1]
    shut = e.acted(KILL) or (e.acted(ORDER) and e.scenario.policy == "halt")
    if code and not (code == 3 and shut):
        said = [line for line in e.day.output.splitlines() if line.strip()]
        yield f"the run ended with exit code {code}: {said[-1] if said else 'it said nothing'}"
    elif not e.day.end:
        yield "the run ended without a word"


def journal_whole(e: Evidence) -> Iterator[str]:
    if e.day.damage:
        yield e.day.damage


def says_no_secret(e: Evidence) -> Iterator[str]:
    places: Mapping[str, Any] = {
        "its output": e.day.output,
        "the journal": e.day.events,
        "what the strategy was told": e.day.told,
    }
    for name, what in places.items():
        text = what if isinstance(what, str) else repr(what)
        if any(secret in text for secret in e.day.secrets):
            yield f"an access token stands in {name}"


Promise = Callable[[Evidence], Iterator[str]]

PROMISES: Mapping[str, Promise] = {
    "no order twice": never_twice,
    "no order lost": never_lost,
    "the position is the account's": position_true,
    "each execution is booked once, at its price": fills_true,
    "executions only grow, and an order ends once": executions_grow,
    "every order ends as Kite says": ends_true,
    "exits offer no more than is held": exits_of_brackets,
    "no exit turns the position round": no_reversal,
    "what others have left is what exits fit": exits_fit_the_account,
    "what an entry has filled has its exits": entries_have_exits,
    "of orders of which one is to trade, one does": pairs_end_together,
    "shares of others are not sold": others_shares_stay,
    "Kite gets what was asked for": asked,
    "what rests is what was asked for": rests_as_asked,
    "of a position's exits the one is told that traded": targets_have_their_price,
    "what was cancelled works no more": wanted_cancels,
    "the strategy hears of each execution": strategy_is_told,
    "the journal's account is the run's": written_down,
    "order calls within the limits": within_the_limits,
    "order calls within a minute's budget": within_the_minute,
    "changes within the cap": changes_within_the_cap,
    "no entry in a symbol that is in doubt": no_entry_in_doubt,
    "a dead token is not hammered": dead_token_rests,
    "what met a dead token waits": waits_for_the_login,
    "nothing is sent before the account was read": reconciled_first,
    "no entry after the kill switch": heeds_the_kill,
    "the kill switch leaves exits": kill_leaves_exits,
    "flattening leaves nothing": flattened,
    "a bar that came late says so": late_bars_are_marked,
    "no entry on a repaired bar": repaired_bars_are_history,
    "nothing is sent that Kite refuses": nothing_that_kite_refuses,
    "realized profit is the exchange's": realized,
    "charges are the exchange's": charges,
    "each bar once, in order": bars_in_order,
    "bars are the exchange's": bars_true,
    "the run ends as it should": runs_to_the_end,
    "the journal is whole": journal_whole,
    "no secret is said": says_no_secret,
}
"""In the order in which they are told."""


def broken(evidence: Evidence) -> dict[str, list[str]]:
    """The promises that this day broke, each with its sentences."""
    found = {name: list(promise(evidence)) for name, promise in PROMISES.items()}
    return {name: sentences for name, sentences in found.items() if sentences}


def _time(row: Row) -> datetime:
    return datetime.fromisoformat(row["time"]).replace(tzinfo=None)


def _order(order: Row) -> str:
    side = f"{order['transaction_type']} {order['quantity']} {key_of(order)} {order['order_type']}"
    return f"order {order['order_id']} ({side})"


def _sizes(held: Mapping[str, int]) -> str:
    return ", ".join(f"{units:+} {key}" for key, units in sorted(held.items())) or "nothing"
