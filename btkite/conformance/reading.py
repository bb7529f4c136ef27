"""What is asked without an order: prices, the account, alerts, funds, the session."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .scene import Scene, Seen, Untried
from .wire import PAUSE, TRIES

RENEWED, SEGMENT, RICHER = "a renewed session", "the margins of a segment", "the richer list of instruments"


async def prices(scene: Scene) -> Seen:
    """Quotes and candles."""
    wire, key = scene.wire, [("i", scene.key)]
    yield "ltp.json", "GET /quote/ltp", await wire.data("GET", "/quote/ltp", query=key)
    yield "ohlc.json", "GET /quote/ohlc", await wire.data("GET", "/quote/ohlc", query=key)
    yield "quote.json", "GET /quote", await wire.data("GET", "/quote", query=key)
    path, asked = f"/instruments/historical/{scene.token}/minute", "GET /instruments/historical/{token}/minute"
    yield "historical_minute.json", asked, _filled(await wire.data("GET", path, query=scene.past(5)), 6)
    candles = await wire.data("GET", path, query={**scene.past(5), "oi": "1"})
    yield "historical_oi.json", f"{asked}?oi=1", _filled(candles, 7)


def _filled(answer: Any, columns: int) -> Any:
    """The answer, or what is no answer, if there are no candles or their rows have another length."""
    rows = answer.get("candles") if isinstance(answer, dict) else None
    return answer if rows and all(len(row) == columns for row in rows) else {"candles": f"no rows of {columns}"}


async def dumps(scene: Scene) -> Seen:
    """The CSV lists: each file's header."""
    for name, path in (
        ("instruments_all.csv", "/instruments"),
        (f"instruments_{scene.exchange.lower()}.csv", f"/instruments/{scene.exchange}"),
    ):
        text = await (await scene.wire.ask("GET", path)).text()
        yield name if name == "instruments_all.csv" else "instruments_nse.csv", f"GET {path}", text


async def richer_dump(scene: Scene) -> Seen:
    """The list that Zerodha's own programs read, which is not in the documentation: no envelope about it."""
    text = await (await scene.wire.ask("GET", "/instruments.json")).text()
    yield RICHER, "GET /instruments.json", json.loads(text)


async def segment_margins(scene: Scene) -> Seen:
    """The margins of each instrument of a segment, as older clients ask for them."""
    yield SEGMENT, "GET /margins/{segment}", await scene.wire.data("GET", "/margins/equity")


async def funds_dump(scene: Scene) -> Seen:
    """The list of mutual funds."""
    yield "mf_instruments.csv", "GET /mf/instruments", await (await scene.wire.ask("GET", "/mf/instruments")).text()


async def person(scene: Scene) -> Seen:
    """Who it is, and the money."""
    wire = scene.wire
    yield "profile.json", "GET /user/profile", await wire.data("GET", "/user/profile")
    yield "margins.json", "GET /user/margins", await wire.data("GET", "/user/margins")
    yield "margins_equity.json", "GET /user/margins/equity", await wire.data("GET", "/user/margins/equity")
    yield "margin_commodity.json", "GET /user/margins/commodity", await wire.data("GET", "/user/margins/commodity")


async def full_profile(scene: Scene) -> Seen:
    """Everything that is known of the person."""
    yield "full_profile.json", "GET /user/profile/full", await scene.wire.data("GET", "/user/profile/full")


async def shares(scene: Scene) -> Seen:
    """What is in the demat account."""
    wire = scene.wire
    rows = await wire.data("GET", "/portfolio/holdings")
    yield "holdings.json", "GET /portfolio/holdings", _own(rows, "holdings")
    for name, tail in (("holdings_summary.json", "summary"), ("holdings_compact.json", "compact")):
        found = await wire.data("GET", f"/portfolio/holdings/{tail}")
        yield name, f"GET /portfolio/holdings/{tail}", _own(found, "holdings")
    if not rows:
        yield "holdings_auth.json", "POST /portfolio/holdings/authorise", _own(rows, "holdings")
        return
    authorised = await wire.data("POST", "/portfolio/holdings/authorise")
    yield "holdings_auth.json", "POST /portfolio/holdings/authorise", authorised


def _own(rows: Any, what: str) -> Any:
    """The answer; where it is a list of what the account does not have, that."""
    return Untried(f"this account has no {what}") if rows == [] else rows


async def auctions(scene: Scene) -> Seen:
    """Shares for which an auction is held."""
    found = await scene.wire.data("GET", "/portfolio/holdings/auctions")
    yield "auctions_list.json", "GET /portfolio/holdings/auctions", _own(found, "shares for which an auction is held")


async def alerts(scene: Scene) -> Seen:
    """Alerts, one of them with a basket."""
    wire = scene.wire
    await scene.look()
    form = _alert(scene, "simple")
    made = await wire.data("POST", "/alerts", form=form)
    yield "alerts_create.json", "POST /alerts", made
    basket = await wire.data("POST", "/alerts", form={**_alert(scene, "ato"), "basket": json.dumps(_basket(scene))})
    yield "alerts_create_ato.json", "POST /alerts, type=ato", basket
    path = f"/alerts/{made['uuid']}"
    yield "alerts_get.json", "GET /alerts", await wire.data("GET", "/alerts")
    yield "alerts_get_one.json", "GET /alerts/{uuid}", await wire.data("GET", path)
    yield "alerts_modify.json", "PUT /alerts/{uuid}", await wire.data("PUT", path, form={**form, "name": "changed"})
    seen = await _fired(scene, path, form)
    yield "alerts_history.json", "GET /alerts/{uuid}/history", seen
    gone = await wire.data("DELETE", "/alerts", query=[("uuid", made["uuid"]), ("uuid", basket["uuid"])])
    yield "alerts_delete.json", "DELETE /alerts", gone


async def _fired(scene: Scene, path: str, form: dict[str, str]) -> Any:
    """The alert's history, its price set anew at each look: a market may fall for longer than anyone waits."""
    rows: Any = []
    for _ in range(TRIES):
        rows = await scene.wire.data("GET", f"{path}/history")
        if rows:
            break
        last = (await scene.quote(scene.key))["last_price"]
        await scene.wire.data("PUT", path, form={**form, "rhs_constant": str(last)})
        await asyncio.sleep(PAUSE)
    return rows


def _alert(scene: Scene, kind: str) -> dict[str, str]:
    return {
        "name": "conformance",
        "type": kind,
        "lhs_exchange": scene.exchange,
        "lhs_tradingsymbol": scene.symbol,
        "lhs_attribute": "LastTradedPrice",
        "operator": ">",  # than the last price: the next rise fires it
        "rhs_type": "constant",
        "rhs_constant": str(scene.last),
    }


def _basket(scene: Scene) -> dict[str, Any]:
    params = {
        "transaction_type": "BUY",
        "product": "CNC",
        "order_type": "LIMIT",
        "validity": "DAY",
        "validity_ttl": 0,
        "quantity": 1,
        "price": scene.near(0.9),
        "trigger_price": 0,
        "disclosed_quantity": 0,
        "variety": "regular",
        "tags": [],
    }
    item = {"type": "insert", "tradingsymbol": scene.symbol, "exchange": scene.exchange, "weight": 1, "params": params}
    return {"name": "conformance", "type": "alert", "tags": [], "items": [item]}


async def _fund(scene: Scene) -> str:
    """The first fund that may be bought."""
    dump = await (await scene.wire.ask("GET", "/mf/instruments")).text()
    rows = csv.DictReader(io.StringIO(dump))
    return next((row["tradingsymbol"] for row in rows if row["purchase_allowed"] == "1"), "")


async def funds(scene: Scene) -> Seen:
    """Orders and holdings of mutual funds."""
    wire = scene.wire
    form = {"tradingsymbol": await _fund(scene), "transaction_type": "BUY", "amount": "1000"}
    placed = await wire.data("POST", "/mf/orders", form=form)
    yield "mf_order_response.json", "POST /mf/orders", placed
    yield "mf_orders.json", "GET /mf/orders", await wire.data("GET", "/mf/orders")
    path = f"/mf/orders/{placed['order_id']}"
    yield "mf_orders_info.json", "GET /mf/orders/{order_id}", await wire.data("GET", path)
    yield "mf_order_cancel.json", "DELETE /mf/orders/{order_id}", await wire.data("DELETE", path)
    yield "mf_holdings.json", "GET /mf/holdings", _own(await wire.data("GET", "/mf/holdings"), "mutual funds")


async def plans(scene: Scene) -> Seen:
    """Monthly plans of mutual funds."""
    wire = scene.wire
    form = {
        "tradingsymbol": await _fund(scene),
        "amount": "1000",
        "instalments": "12",
        "frequency": "monthly",
        "instalment_day": "1",
    }
    placed = await wire.data("POST", "/mf/sips", form=form)
    yield "mf_sip_place.json", "POST /mf/sips", placed
    path = f"/mf/sips/{placed['sip_id']}"
    yield "mf_sips.json", "GET /mf/sips", await wire.data("GET", "/mf/sips")
    yield "mf_sip_info.json", "GET /mf/sips/{sip_id}", await wire.data("GET", path)
    yield "mf_sip_modify.json", "PUT /mf/sips/{sip_id}", await wire.data("PUT", path, form={"amount": "2000"})
    yield "mf_sip_cancel.json", "DELETE /mf/sips/{sip_id}", await wire.data("DELETE", path)


async def _login(scene: Scene) -> dict[str, Any]:
    """A new session; the token that was used so far is dead after it."""
    wire = scene.wire
    page = await wire.ask("GET", f"/connect/login?v=3&api_key={wire.api_key}&auto=1", authorized=False, follow=False)
    token = parse_qs(urlsplit(page.headers.get("Location", "")).query)["request_token"][0]
    checksum = hashlib.sha256((wire.api_key + token + scene.api_secret).encode()).hexdigest()
    form = {"api_key": wire.api_key, "request_token": token, "checksum": checksum}
    made: dict[str, Any] = await wire.data("POST", "/session/token", form=form, authorized=False)
    wire.access_token = made["access_token"]
    return made


async def renewal(scene: Scene) -> Seen:
    """A login, and another session by its refresh token, which Kite gives to approved platforms only."""
    wire, asked = scene.wire, "POST /session/refresh_token"
    token = (await _login(scene)).get("refresh_token")
    if not token:
        yield RENEWED, asked, Untried("a login into this app brings no refresh token")
        return
    checksum = hashlib.sha256((wire.api_key + token + scene.api_secret).encode()).hexdigest()
    form = {"api_key": wire.api_key, "refresh_token": token, "checksum": checksum}
    made = await wire.data("POST", "/session/refresh_token", form=form, authorized=False)
    wire.access_token = made["access_token"]
    yield RENEWED, asked, made


async def session(scene: Scene) -> Seen:
    """A login and a logout."""
    wire = scene.wire
    yield "generate_session.json", "POST /session/token", await _login(scene)
    query = {"api_key": wire.api_key, "access_token": wire.access_token}
    yield "session_logout.json", "DELETE /session/token", await wire.data("DELETE", "/session/token", query=query)
