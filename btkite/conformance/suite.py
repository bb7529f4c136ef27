"""The table of what is asked, and the verdicts."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from . import reading, streaming, trading, varieties
from .refusals import REFUSALS, judge_refusal
from .scene import NAMED, Judged, Scene, Seen, Untried
from .shape import Shapes
from .wire import NotAnswered, in_words

FITS, DIFFERS, SILENT, SKIPPED = "fits", "differs", "not answered", "not tried"


@dataclass(frozen=True, slots=True)
class Finding:
    """``name`` is a sample's file, or in words what no sample shows; ``deviations`` are sentences."""

    name: str
    asked: str
    verdict: str
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests that belong together; ``needs`` and ``also`` are what some servers lack."""

    run: Callable[[Scene], Seen]
    files: tuple[str, ...]
    needs: str = ""
    also: str = ""


def _names(packets: streaming.Packets) -> tuple[str, ...]:
    return tuple(name for name, _, _ in packets)


FLOWS = (
    Flow(reading.dumps, ("instruments_all.csv", "instruments_nse.csv")),
    Flow(reading.person, ("profile.json", "margins.json", "margins_equity.json", "margin_commodity.json")),
    Flow(reading.full_profile, ("full_profile.json",), "full_profile"),
    Flow(reading.prices, ("ltp.json", "ohlc.json", "quote.json", "historical_minute.json", "historical_oi.json")),
    Flow(
        streaming.ticks,
        ("ticker_full.packet", "ticker_full.json", "ticker_quote.packet", "ticker_quote.json", "ticker_ltp.json"),
    ),
    Flow(streaming.index_packets, _names(streaming.INDEX_PACKETS), "index"),
    Flow(streaming.currency_packets, _names(streaming.CURRENCY_PACKETS), "currency"),
    Flow(streaming.commodity_packets, _names(streaming.COMMODITY_PACKETS), "commodity"),
    Flow(streaming.heartbeat, (streaming.HEARTBEAT,)),
    Flow(
        trading.resting,
        ("order_response.json", "order_modify.json", "orders.json", "order_info.json", "order_cancel.json"),
    ),
    Flow(trading.filled, ("order_trades.json", "trades.json", "positions.json", "convert_position.json")),
    Flow(streaming.updates, ("postback.json",)),
    Flow(varieties.cover, (varieties.COVER,), "co"),
    Flow(varieties.iceberg, (varieties.ICEBERG,), "iceberg"),
    Flow(varieties.after_hours, (varieties.AFTER_HOURS,), "amo"),
    Flow(trading.sliced, ("autoslice_response.json",), "autoslice"),
    Flow(
        trading.money,
        ("order_margins.json", "basket_margins.json", "virtual_contract_note.json", "trigger_range.json"),
        "margins",
    ),
    Flow(reading.segment_margins, (reading.SEGMENT,), "segment_margins"),
    Flow(reading.richer_dump, (reading.RICHER,), "instruments_json"),
    Flow(
        trading.triggers,
        (
            "gtt_place_order.json",
            "gtt_get_order.json",
            "gtt_get_orders.json",
            "gtt_modify_order.json",
            "gtt_delete_order.json",
        ),
        "gtt",
    ),
    Flow(
        reading.shares,
        ("holdings.json", "holdings_summary.json", "holdings_compact.json", "holdings_auth.json"),
    ),
    Flow(reading.auctions, ("auctions_list.json",), "auctions"),
    Flow(
        reading.alerts,
        (
            "alerts_create.json",
            "alerts_create_ato.json",
            "alerts_get.json",
            "alerts_get_one.json",
            "alerts_modify.json",
            "alerts_history.json",
            "alerts_delete.json",
        ),
        "alerts",
    ),
    Flow(reading.funds_dump, ("mf_instruments.csv",), "mf"),
    Flow(
        reading.funds,
        (
            "mf_order_response.json",
            "mf_orders.json",
            "mf_orders_info.json",
            "mf_order_cancel.json",
            "mf_holdings.json",
        ),
        "mf",
    ),
    Flow(
        reading.plans,
        ("mf_sip_place.json", "mf_sips.json", "mf_sip_info.json", "mf_sip_modify.json", "mf_sip_cancel.json"),
        "mf",
    ),
)
SESSIONS = (
    Flow(reading.renewal, (reading.RENEWED,), "refresh_token", "login"),
    Flow(reading.session, ("generate_session.json", "session_logout.json"), "login"),
)
LACKS = tuple(sorted({need for flow in (*FLOWS, *SESSIONS) if (need := flow.needs) and need not in NAMED}))
"""What a server may be known to lack."""


async def judge(scene: Scene) -> AsyncIterator[Finding]:
    """One finding after the other: every sample by name, then the refusals. The sessions come
    last, because they end the one that is given.

    :raises NotAnswered: if not even the instrument's price can be read.
    """
    shapes = Shapes()
    await scene.look()
    for flow in FLOWS:
        async for finding in _run(flow, scene, shapes):
            yield finding
    for case in REFUSALS:
        wrong = await judge_refusal(case, scene)
        yield Finding(case.says, "is refused", DIFFERS if wrong else FITS, tuple(wrong))
    for flow in SESSIONS:
        async for finding in _run(flow, scene, shapes):
            yield finding


async def _run(flow: Flow, scene: Scene, shapes: Shapes) -> AsyncIterator[Finding]:
    left = list(flow.files)
    for need in (flow.needs, flow.also):
        if need in scene.lacks:
            for name in left:
                yield Finding(name, "", SKIPPED, (f"this server is known to lack {need}",))
            return
    if not scene.names(flow.needs):
        for name in left:
            yield Finding(name, "", SKIPPED, (f"no such instrument was named: --{flow.needs}",))
        return
    try:
        async for name, asked, value in flow.run(scene):
            left.remove(name)
            if isinstance(value, Untried):
                yield Finding(name, asked, SKIPPED, (value.why,))
                continue
            wrong = tuple(_misfits(shapes, name, value))
            yield Finding(name, asked, DIFFERS if wrong else FITS, wrong)
    except (NotAnswered, aiohttp.ClientError, ConnectionError, TimeoutError, ValueError, LookupError) as error:
        yield Finding(left[0], "", SILENT, (in_words(error),))
        for name in left[1:]:
            yield Finding(name, "", SILENT, (f"{left[0]} comes before it",))


def _misfits(shapes: Shapes, name: str, value: Any) -> list[str]:
    if isinstance(value, Judged):
        return list(value.deviations)
    if name in shapes.packets:
        size = shapes.packets[name]
        return [] if len(value) == size else [f"{len(value)} bytes, not {size}"]
    if name in shapes.columns:
        rows = list(csv.reader(value.splitlines()))
        if not rows or rows[0] != shapes.columns[name]:
            return [f"its columns are {', '.join(rows[0]) if rows else 'none'}"]
        return [] if len(rows) > 1 else ["it has no rows"]
    return shapes.misfits(name, value)
