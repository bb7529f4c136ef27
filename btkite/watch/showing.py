"""An account's standing as lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..report.table import inr, number
from ..risk.ledger import Held
from .reading import Standing

KEPT_HERE = "kept here, not at Kite"
"""Of an exit for which another order stands on the book."""
WIDTH = 80
_BAR = 20
_WORDS = {
    "running": "running",
    "silent": "running, but silent: it has not spoken for a while",
    "died": "not running: the last run ended without a word",
    "ended": "not running",
    "never": "nothing is known of it",
}


def shown(now: Standing) -> Iterator[str]:
    """A line after the other."""
    said = now.said if now.is_running else {}
    yield f"{now.place.account} · {now.place.mode} on {now.place.endpoint}"
    yield from _labelled("run", _run(now))
    if said:
        yield from _labelled("strategy", f"{said['strategy']} ({', '.join(said['symbols'])} · {said['interval']})")
        yield from _labelled("feed", _feed(said))
        yield from _labelled("gate", _gate(now, said["gate"]))
        yield from _labelled("calls", _calls(said))
        yield from _labelled("money", _money(said["money"]))
        yield from _table("positions", _positions(said["positions"]))
        yield from _table("orders", _orders(said["orders"]))
        yield from _groups(said["groups"], {row["ref"] for row in said["orders"]})
        yield from _table("limits", [_limit(row) for row in said["risk"]])
    else:
        yield from _labelled("gate", _gate(now, {}))
        if now.book:
            yield from _from_book(now)
    yield from _table("last events", [_event(event) for event in now.events])


def _run(now: Standing) -> str:
    owner, said = now.owner, now.said
    text = _WORDS[now.running]
    if now.is_running:
        text += f" · pid {owner.get('pid')} on {owner.get('host')} · since {owner.get('since')}"
        if said.get("wall"):
            text += f" · spoke {_ago(said['wall'], now.now)} ago"
    elif said:
        how = said.get("ended") or "no word of its end"
        text += f" · last word {said['wall'][:19]} ({how})"
    return text


def _feed(said: Mapping[str, Any]) -> str:
    age = said["tick_age"]
    link = said["link"] or "none"
    parts = [f"link {link}", "no tick yet" if age is None else f"last tick {_seconds(age)} ago"]
    if said["malformed"]:
        frames = "frame" if said["malformed"] == 1 else "frames"
        parts.append(f"{number(said['malformed'], 0)} malformed {frames}")
    if (posts := said.get("postbacks")) is not None:
        parts.append(_posts(posts))
    bars = [row["last_bar"] for row in said["feeds"] if row["last_bar"]]
    if bars:
        parts.append(f"last bar {max(bars)[11:16]}")
    states = sorted({row["state"] for row in said["feeds"]} - {"LIVE", ""})
    if states:
        parts.append(", ".join(states))
    parts.append(f"market time {said['market'][:19].replace('T', ' ')}")
    return " · ".join(parts)


def _posts(posts: Mapping[str, int]) -> str:
    """``4 postbacks (1 forged)``."""
    bad = ", ".join(f"{number(posts[name], 0)} {name}" for name in ("forged", "unread") if posts[name])
    return f"{number(posts['heard'], 0)} postback{'' if posts['heard'] == 1 else 's'}{f' ({bad})' if bad else ''}"


def _gate(now: Standing, gate: Mapping[str, Any]) -> str:
    if now.kill:
        more = ", and what is held is to be closed" if now.flatten else ""
        also = "".join(f" · {reason}" for reason in gate.get("paused", ()))
        return f"HALTED · the kill switch is engaged ({now.kill}){more}{also}"
    if not gate:
        latched = (now.book.get("ledger") or {}).get("latched")
        return f"REDUCING · {latched['reason']}" if latched else "open"
    return f"{gate['state'].upper()}{' · ' + gate['reason'] if gate['reason'] else ''}"


def _calls(said: Mapping[str, Any]) -> str:
    text = f"{number(said['order_calls'], 0)} order calls today"
    return text + (f" · token dies {said['token_expires'][:16].replace('T', ' ')}" if said["token_expires"] else "")


def _money(money: Mapping[str, Any]) -> str:
    return (
        f"value {inr(money['value'])} · today {inr(money['day_pnl'])} · realized {inr(money['realized'])} · "
        f"unrealized {inr(money['unrealized'])} · charges {inr(money['charges'])} · cash {inr(money['cash'])}"
    )


def _positions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for row in rows:
        held = f"{number(row['size'], 0)} {row['product']} at {number(row['average'])}, now {number(row['last'])}"
        money = f"open {inr(row['unrealized'])}, today {inr(row['realized'])}"
        found.append(f"{row['symbol']:<17} {held if row['size'] else 'flat':<31} {money}")
    return found


def _orders(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for row in rows:
        price = f" {inr(row['price'])}" if row["price"] else ""
        what = "UNCERTAIN" if row["uncertain"] else row["status"] if row["active"] else "sleeps"
        until = f", held till {row['held_until'][5:16].replace('T', ' ')}" if row["held_until"] else ""
        done = f", {number(row['filled'], 0)} filled" if row["filled"] else ""
        kite = f" · {KEPT_HERE}" if row.get("kept_here") else f" · {row['order_id']}" if row["order_id"] else ""
        found.append(
            f"#{row['ref']:<5}{row['side']:<5}{number(row['size'], 0):>6} {row['symbol']} {row['exectype']}{price} "
            f"· {what}{done}{until}{kite}"
        )
    return found


def _groups(groups: Mapping[str, Any], alive: set[int]) -> Iterator[str]:
    rows = []
    for group in groups.values():
        members = [member["ref"] for member in group["members"] if member["ref"] in alive]
        heads = [member["ref"] for member in group["members"] if member["role"] == "parent"]
        if members:
            what = f"bracket of #{heads[0]}" if heads else "one cancels the other"
            rows.append(f"{what}: {', '.join(f'#{ref}' for ref in members)}")
    yield from _table("groups", rows) if rows else ()


def _limit(row: Mapping[str, Any]) -> str:
    share = row["used"] / row["limit"] if row["limit"] else float(row["used"] > 0)
    full = min(_BAR, round(_BAR * min(1.0, share)))
    entries = row["title"].endswith("a day") and "entries" in row["title"]
    figure = (lambda value: number(value, 0)) if entries else inr
    return f"{row['title'][:28]:<28} {'█' * full}{'░' * (_BAR - full)} {figure(row['used'])} of {figure(row['limit'])}"


def _from_book(now: Standing) -> Iterator[str]:
    """Where no run speaks, the journal does."""
    book, ledger = now.book, now.book["ledger"]
    rows = []
    for key, row in book["positions"].items():
        held = Held(*ledger["positions"][key]) if key in ledger["positions"] else None
        last = f", last {number(held.last_price)}" if held is not None else ""
        rows.append(f"{key:<18}{number(row['size'], 0):>7} at {number(row['price'])}{last} {row['product']}")
    stamp = f"{book['time']:%Y-%m-%d %H:%M:%S}"
    yield from _table(f"positions by the journal of {stamp}", rows)
    yield from _table(
        "orders by the journal",
        [
            f"#{row['ref']:<5}{row['side'].upper():<5}{number(abs(row['size']), 0):>6} {row['key']}"
            + (f" · {KEPT_HERE}" if row["info"].get("watched") else "")
            + (f" · {row['info']['order_id']}" if row["info"].get("order_id") else "")
            for row in book["orders"]
        ],
    )


_SHOWN = (
    "ref", "refs", "action", "order_id", "source", "status", "how", "quantity", "price", "rule", "reason", "error",
    "message", "text", "strategy",
)  # fmt: skip


def _event(event: Mapping[str, Any]) -> str:
    facts = [f"{name} {_short(event[name])}" for name in _SHOWN if event.get(name) not in (None, "", [])]
    if "proposal" in event:
        facts.insert(0, f"ref {event['proposal']['ref']}")
    return f"{event['time']:%H:%M:%S}  {event['kind']:<10} {', '.join(facts)}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label:<10}", subsequent_indent=" " * 10, break_on_hyphens=False)


def _table(title: str, rows: Sequence[str]) -> Iterator[str]:
    if not rows:
        yield f"{title}: none"
        return
    yield title
    for row in rows:
        yield from textwrap.wrap(
            row, WIDTH, initial_indent="  ", subsequent_indent=" " * 8, break_on_hyphens=False, drop_whitespace=True
        )


def _ago(stamp: str, now: datetime) -> str:
    return _seconds(max(0.0, (now - datetime.fromisoformat(stamp)).total_seconds()))


def _seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
