"""Promises about restraint: what is not sent while something is not known, not allowed, or too much."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from .acts import KILL, LOGIN
from .evidence import Evidence, Row, key_of, way_of

_DOUBT = timedelta(seconds=85)
"""An order call whose answer was lost is looked up for 90 s; less what rounding to seconds takes."""
_MINUTE = timedelta(minutes=1)
_PER_MINUTE = 400
_ATTEMPTS = 12
"""Refusals of a dead token in a minute that are still "a few": orders, book, positions and margins, each now and
then."""
_LATE = timedelta(seconds=59)


def no_entry_in_doubt(e: Evidence) -> Iterator[str]:
    """While nobody knows whether Kite has an order, its symbol takes no new entry. (Judged by the placements that the
    exchange never took: of the others news may come at any time.)"""
    given = {row["ref"]: datetime.fromisoformat(row["now"]) for row in e.day.wishes if row["what"] == "give"}
    there = {str(order.get("tag") or "") for order in e.ours}
    lost = [
        row for row in e.placements if row["fault"] and not _answered(row) and row["form"].get("tag", "") not in there
    ]
    for row in lost:
        begins = when(row)
        for later in e.placements:
            tag = str(later["form"].get("tag") or "")
            intent = e.intents.get(tag, {})
            if later["seq"] <= row["seq"] or when(later) >= begins + _DOUBT or intent.get("reduces", True):
                continue
            if given.get(int(intent["ref"]), begins) <= begins:  # it was on its way when the doubt came
                continue
            if _symbol(later) == _symbol(row) and tag != row["form"].get("tag"):
                yield (
                    f"the entry of the tag {tag} was sent {(when(later) - begins).total_seconds():g} s after that of "
                    f"{row['form'].get('tag')}, of which nobody knew whether Kite had it"
                )


def dead_token_rests(e: Evidence) -> Iterator[str]:
    """A token that is dead is tried a few times a minute, no more."""
    if not e.acted(LOGIN):
        return
    refused = [when(row) for row in e.day.requests if row["status"] == 403]
    for first, last in zip(refused, refused[_ATTEMPTS:], strict=False):
        if last - first < _MINUTE:
            yield f"a dead token was tried more than {_ATTEMPTS} times in the minute from {first:%H:%M:%S}"
            return


def waits_for_the_login(e: Evidence) -> Iterator[str]:
    """An order that met a dead token is none that Kite refused: it waits for the next one."""
    if not e.acted(LOGIN) or e.acted(KILL) or e.day.deaths:
        return
    last = {line["ref"]: line for line in e.day.told}
    for row in e.placements:
        tag = str(row["form"].get("tag") or "")
        ref = int(e.intents.get(tag, {}).get("ref", 0))
        again = any(one["seq"] > row["seq"] and one["form"].get("tag") == tag for one in e.placements)
        how = last[ref]["status"] if ref in last else ""
        dead = row["status"] == 403 and "token_exception" in str(row["fault"])
        if dead and not again and how in ("Rejected", "Margin"):
            yield f"order {ref} met a dead token at {when(row):%H:%M:%S} and ended as {how}"


def within_the_minute(e: Evidence) -> Iterator[str]:
    """Order calls fit Kite's budget for a minute."""
    times = [when(row) for row in e.order_calls]
    for first, last in zip(times, times[_PER_MINUTE:], strict=False):
        if last - first < _MINUTE:
            yield f"more than {_PER_MINUTE} order calls went out in the minute from {first:%H:%M:%S}"
            return


def changes_within_the_cap(e: Evidence) -> Iterator[str]:
    """No order is changed more often than Kite allows."""
    most = int(e.scenario.settings.get("max_modifications", 25))
    counts: dict[str, int] = {}
    for row in e.order_calls:
        if row["method"] == "PUT" and row["status"] == 200:
            counts[row["path"]] = counts.get(row["path"], 0) + 1
    for path, count in counts.items():
        if count > most:
            yield f"{path} was changed {count} times"


def others_shares_stay(e: Evidence) -> Iterator[str]:
    """Delivered shares that our orders have not bought are never sold. What an order sells of them that a fault kept
    from being cancelled is bought back."""
    held: dict[str, int] = {}
    done: dict[str, int] = {}
    owed: dict[str, str] = {}
    for row in filter(e.followed, e.log):
        order_id = str(row["order_id"])
        more = int(row["filled_quantity"]) - done.get(order_id, 0)
        if row["product"] != "CNC" or more <= 0:
            continue
        done[order_id] = int(row["filled_quantity"])
        key = key_of(row)
        held[key] = held.get(key, 0) + way_of(row) * more
        if way_of(row) < 0 and held[key] < 0 and order_id not in e.day.by_hand:
            if _kept_from_cancelling(e, order_id, datetime.fromisoformat(row["order_timestamp"])):
                owed[key] = order_id
            else:
                yield f"order {order_id} has sold {-held[key]} {key} that no order of ours had bought"
    for key, order_id in owed.items():
        if held[key] < 0:
            yield f"order {order_id} could not be cancelled, and {-held[key]} {key} that it sold were not bought back"


def _kept_from_cancelling(e: Evidence, order_id: str, by: datetime) -> bool:
    """Whether a fault had turned away, before ``by``, a cancellation of ours."""
    return any(
        row["method"] == "DELETE" and row["fault"] and row["path"].endswith(f"/{order_id}") and when(row) < by
        for row in e.order_calls
    )


def late_bars_are_marked(e: Evidence) -> Iterator[str]:
    """A bar that comes a minute or more after its end is one that was repaired, and the strategy can tell."""
    for bar in e.day.bars:
        if "now" not in bar or bar["repaired"] or e.happened("clock_skew"):
            continue
        late = datetime.fromisoformat(bar["now"]) - datetime.fromisoformat(bar["at"])
        if late > _LATE:
            yield f"the bar of {bar['at'][11:16]} came {late.total_seconds():g} s late, and was not marked as repaired"


def when(row: Row) -> datetime:
    """A request's moment."""
    return datetime.fromisoformat(row["time"]).replace(tzinfo=None)


def _answered(row: Row) -> bool:
    """Whether the exchange's answer says what became of it."""
    fault = str(row["fault"])
    if row["status"] == 503 and "oms_maintenance" in fault:  # Kite's own word that it took nothing
        return True
    return row["status"] in (200, 400, 403, 428, 429) and "malformed" not in fault


def _symbol(row: Row) -> str:
    return f"{row['form'].get('exchange')}:{row['form'].get('tradingsymbol')}"
