from __future__ import annotations

import hashlib
import inspect
import json
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina

from btkite.clock import ManualClock
from btkite.errors import (
    BtkiteError,
    ConfigError,
    KiteError,
    KiteUnavailable,
    NotPermitted,
    OrderRefused,
    OrderUncertain,
    RuleViolation,
    SessionExpired,
)
from btkite.kite.client import KiteClient
from btkite.kite.endpoints import SANDBOX, resolve
from btkite.kite.failures import NO_ANSWER, NOT_SENT
from btkite.kite.tables import candle_columns, instrument_table
from btkite.values import Instrument, OrderType, Proposal, Side, Source
from tests.kite.fakes import KEY, NOON, TOKEN, FakeRest, Reply, data, error

INFY = Instrument("NSE", "INFY", 408065)


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    """Reads are tried again without the wait: stamina's own test mode."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


def proposal(**changed: Any) -> Proposal:
    fields: dict[str, Any] = {
        "ref": 1,
        "instrument": INFY,
        "side": Side.BUY,
        "quantity": 10,
        "order_type": OrderType.LIMIT,
        "product": "MIS",
        "variety": "regular",
        "price": 1500.05,
        "tag": "sma00000000000001",
    }
    return Proposal(**{**fields, **changed})


@pytest.fixture
def client(rest: FakeRest, clock: ManualClock) -> Iterator[KiteClient]:
    made = KiteClient(rest.endpoint, KEY, TOKEN, armed=True, clock=clock, timeout=5.0)
    yield made
    made.close()


# -- the wire ------------------------------------------------------------------------------------


def test_a_call_is_signed_as_kite_asks(rest: FakeRest, client: KiteClient) -> None:
    rest.then(data({"user_id": "AB1234"}))
    assert client.profile() == {"user_id": "AB1234"}
    asked = rest.asked[0]
    assert (asked.method, asked.path) == ("GET", "/user/profile")
    assert asked.headers["Authorization"] == f"token {KEY}:{TOKEN}"
    assert asked.headers["X-Kite-Version"] == "3"


def test_a_limit_order_carries_what_it_needs_and_no_empty_field(rest: FakeRest, client: KiteClient) -> None:
    rest.then(data({"order_id": "260903171147099"}))
    assert client.place(proposal()) == "260903171147099"
    asked = rest.asked[0]
    assert (asked.method, asked.path) == ("POST", "/orders/regular")
    assert asked.form == {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": "10",
        "product": "MIS",
        "order_type": "LIMIT",
        "validity": "DAY",
        "price": "1500.05",
        "tag": "sma00000000000001",
    }


@pytest.mark.parametrize(
    ("changed", "sent", "absent"),
    [
        (
            {"order_type": OrderType.MARKET, "price": 0.0, "market_protection": 2.0},
            {"order_type": "MARKET", "market_protection": "2"},
            {"price", "trigger_price"},
        ),
        (
            {"order_type": OrderType.SLM, "price": 0.0, "trigger_price": 1490.0, "market_protection": -1},
            {"order_type": "SL-M", "trigger_price": "1490", "market_protection": "-1"},
            {"price"},
        ),
        (
            {"order_type": OrderType.SL, "price": 1489.95, "trigger_price": 1490.0},
            {"order_type": "SL", "price": "1489.95", "trigger_price": "1490"},
            {"market_protection"},
        ),
        (
            {"validity": "TTL", "validity_ttl": 5, "disclosed_quantity": 3},
            {"validity": "TTL", "validity_ttl": "5", "disclosed_quantity": "3"},
            {"trigger_price", "iceberg_legs"},
        ),
        (
            {"variety": "iceberg", "iceberg_legs": 5, "iceberg_quantity": 2},
            {"iceberg_legs": "5", "iceberg_quantity": "2"},
            set(),
        ),
        ({"autoslice": True}, {"autoslice": "true"}, set()),
        ({"price": 0.1 + 0.2}, {"price": "0.3"}, set()),
    ],
)
def test_each_order_type_sends_its_own_fields(
    rest: FakeRest, client: KiteClient, changed: dict[str, Any], sent: dict[str, str], absent: set[str]
) -> None:
    rest.then(data({"order_id": "1"}))
    client.place(proposal(**changed))
    form = rest.asked[0].form
    assert {name: form.get(name) for name in sent} == sent
    assert not absent & form.keys()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"order_type": OrderType.MARKET, "price": 0.0}, "MARKET order needs market_protection"),
        ({"order_type": OrderType.MARKET, "market_protection": 0.0}, "MARKET order needs market_protection"),
        ({"order_type": OrderType.SLM, "trigger_price": 9.0}, "SL-M order needs market_protection"),
        ({"order_type": OrderType.MARKET, "market_protection": 101.0}, "up to 100"),
        ({"price": 0.0}, "LIMIT order needs a price"),
        ({"order_type": OrderType.SL}, "SL order needs a trigger_price"),
        ({"quantity": 0}, "quantity 0 is not positive"),
        ({"tag": "x" * 21}, "longer than Kite's 20 characters"),
    ],
)
def test_what_kite_would_surely_refuse_never_reaches_it(
    rest: FakeRest, client: KiteClient, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RuleViolation, match=reason):
        client.place(proposal(**changed))
    assert rest.asked == []


def test_an_order_is_changed_by_what_changed_only(rest: FakeRest, client: KiteClient) -> None:
    rest.then(data({"order_id": "77"}), data({"order_id": "77"}))
    assert client.modify("77", "regular", price=1501.0, trigger_price=None) == "77"
    client.modify("77", "regular", order_type=OrderType.MARKET, market_protection=3)
    assert (rest.asked[0].method, rest.asked[0].path) == ("PUT", "/orders/regular/77")
    sent = {name: value for name, value in rest.asked[0].form.items() if name not in ("variety", "order_id")}
    assert sent == {"price": "1501"}
    assert rest.asked[1].form["order_type"] == "MARKET"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"product": "CNC"}, "an order's product cannot be changed"),
        ({}, "nothing to change"),
        ({"order_type": OrderType.MARKET}, "MARKET order needs market_protection"),
    ],
)
def test_a_change_that_kite_does_not_know_is_refused_here(
    rest: FakeRest, client: KiteClient, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RuleViolation, match=reason):
        client.modify("77", "regular", **changed)
    assert rest.asked == []


def test_a_cancel_names_variety_and_order(rest: FakeRest, client: KiteClient) -> None:
    rest.then(data({"order_id": "77"}))
    assert client.cancel("77", "amo") == "77"
    assert (rest.asked[0].method, rest.asked[0].path) == ("DELETE", "/orders/amo/77")


@pytest.mark.parametrize(
    ("reply", "order_id"),
    [
        ({"order_id": "1", "children": [{"order_id": "2"}, {"order_id": "3"}]}, "1"),
        ({"order_id": "1", "children": [{"order_id": "2"}, {"error": {"code": 400, "message": "no"}}]}, "1"),
        ([{"order_id": "2"}, {"order_id": "3"}], "2"),
    ],
)
def test_both_shapes_of_a_sliced_answer_give_an_id(
    rest: FakeRest, client: KiteClient, reply: Any, order_id: str
) -> None:
    rest.then(data(reply))
    assert client.place(proposal(autoslice=True)) == order_id


def test_slices_that_were_all_refused_are_a_refusal(rest: FakeRest, client: KiteClient) -> None:
    child = {"error": {"code": 400, "error_type": "MarginException", "message": "Insufficient funds."}}
    rest.then(data({"order_id": "1", "children": [child, child]}))
    with pytest.raises(OrderRefused, match="Insufficient funds") as refused:
        client.place(proposal(autoslice=True))
    assert refused.value.error_type == "MarginException"


# -- armed or not --------------------------------------------------------------------------------


ORDER_CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("place_order", ("regular", "NSE", "INFY", "BUY", 1, "MIS", "LIMIT")),
    ("place_autoslice_order", ("regular", "NSE", "INFY", "BUY", 1, "MIS", "LIMIT")),
    ("modify_order", ("regular", "1")),
    ("cancel_order", ("regular", "1")),
    ("exit_order", ("co", "1")),
    ("convert_position", ("NSE", "INFY", "BUY", "day", 1, "MIS", "CNC")),
    ("place_mf_order", ("X", "BUY")),
    ("cancel_mf_order", ("1",)),
    ("place_mf_sip", ("X", 1, 1, "monthly")),
    ("modify_mf_sip", ("1",)),
    ("cancel_mf_sip", ("1",)),
    (
        "place_gtt",
        (
            "single", "INFY", "NSE", [1.0], 2.0,
            [{"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1}],
        ),
    ),
    ("modify_gtt", (1, "single", "INFY", "NSE", [1.0], 2.0, [])),
    ("delete_gtt", (1,)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args"), ORDER_CALLS, ids=[name for name, _ in ORDER_CALLS])
def test_a_client_that_is_not_armed_refuses_every_order_before_the_wire(
    rest: FakeRest, clock: ManualClock, name: str, args: tuple[Any, ...]
) -> None:
    client = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock)
    with pytest.raises(RuleViolation, match="not armed") as refused:
        client.call(name, *args)
    assert rest.asked == []
    assert str(refused.value).endswith("sends orders: btkite run … --mode live --confirm USER_ID)")


def test_what_a_refusal_tells_to_type_is_an_option_of_that_verb(rest: FakeRest, clock: ManualClock) -> None:
    from typer.main import get_command

    from btkite.cli.app import VERBS

    with pytest.raises(RuleViolation) as refused:
        KiteClient(rest.endpoint, KEY, TOKEN, clock=clock).call("cancel_order", "regular", "1")
    told = re.search(r"btkite (\w+) … (.*)\)$", str(refused.value))
    assert told is not None
    verb = VERBS[told[1]].load(told[1])
    command = verb if hasattr(verb, "params") else get_command(verb)
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in told[2].split() if word.startswith("--")} == {"--mode", "--confirm"} <= known


def test_every_writing_call_of_kiteconnect_is_an_order_or_known_to_be_harmless(
    rest: FakeRest, clock: ManualClock
) -> None:
    """A method that a new kiteconnect brings must be looked at: either it is refused or it is listed."""
    from kiteconnect import KiteConnect

    writing = set()
    for name, method in inspect.getmembers(KiteConnect, inspect.isfunction):
        source = inspect.getsource(method)
        if not name.startswith("_") and any(verb in source for verb in ("self._post(", "self._put(", "self._delete(")):
            writing.add(name)
    harmless = {
        "generate_session", "renew_access_token", "invalidate_access_token", "invalidate_refresh_token",
        "order_margins", "basket_order_margins", "get_virtual_contract_note",
    }  # fmt: skip
    assert writing == harmless | {name for name, _ in ORDER_CALLS} - {"exit_order"}


def test_an_unarmed_client_refuses_our_own_order_calls_and_alerts(rest: FakeRest, clock: ManualClock) -> None:
    client = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock)
    for attempt in (
        lambda: client.place(proposal()),
        lambda: client.modify("1", "regular", price=1.0),
        lambda: client.cancel("1", "regular"),
        lambda: client.request("alerts", "POST", params={"type": "ato"}),
        lambda: client.request("orders", "PUT"),
    ):
        with pytest.raises(RuleViolation, match="not armed"):
            attempt()
    assert rest.asked == []


def test_an_unarmed_client_reads_and_calculates(rest: FakeRest, clock: ManualClock) -> None:
    client = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock)
    rest.on("/orders", data([]))
    rest.on("/margins/orders", data([{"total": 12.5}]))
    assert client.orders() == []
    assert client.order_margins([proposal()]) == [{"total": 12.5}]
    row = json.loads(rest.asked[1].body)[0]
    assert row["tradingsymbol"] == "INFY"
    assert row["price"] == 1500.05


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (error(400, "MarginException", "Insufficient funds."), OrderRefused),
        (error(400, "HoldingException", "Insufficient holdings."), OrderRefused),
        (error(429, "NetworkException", "Too many requests"), OrderRefused),
        (error(428, "InputException", "10 quantity needs authorisation at depository."), OrderRefused),
        (error(400, "NetworkException", "Order request timed out. Please check the order book"), OrderUncertain),
        (error(503, "NetworkException", "down"), OrderUncertain),
        (error(403, "TokenException", "Incorrect `api_key` or `access_token`."), SessionExpired),
        (error(403, "PermissionException", "IP (1.2.3.4) is not allowed"), NotPermitted),
        (Reply(status=502, raw=b"<html>Bad gateway</html>", content_type="text/html"), OrderUncertain),
        (Reply(status=200, raw=b"<html>Maintenance</html>", content_type="text/html"), OrderUncertain),
        (Reply(status=200, raw=b'{"order', content_type="application/json"), OrderUncertain),
        (Reply({"status": "success", "data": {"order_id": "1"}}, content_type=None), OrderUncertain),
        (Reply({"status": "success"}), OrderUncertain),
        (Reply({"status": "success", "data": {}}), OrderUncertain),
        (Reply({"status": "success", "data": None}), OrderUncertain),
        (Reply({"status": "error", "message": "no type"}, 400), OrderUncertain),
        (Reply([1, 2]), OrderUncertain),
        (Reply(status=0), OrderUncertain),
        (Reply({"status": "success", "data": {"order_id": "1"}}, cut_after=10), OrderUncertain),
        (Reply(status=307, body={}, headers={"Location": "/orders/elsewhere"}), OrderUncertain),
    ],
)
def test_every_answer_to_an_order_is_a_clear_error_and_never_a_second_call(
    rest: FakeRest, client: KiteClient, reply: Reply, meaning: type[BtkiteError]
) -> None:
    rest.then(reply)
    with pytest.raises(BtkiteError) as raised:
        client.place(proposal())
    assert type(raised.value) is meaning
    assert raised.value.__cause__ is None
    assert len(rest.asked) == 1
    assert getattr(raised.value, "error_type", None) != NOT_SENT  # it has arrived, whatever came back


def test_an_order_whose_connection_is_reset_after_it_left_may_be_there(rest: FakeRest, client: KiteClient) -> None:
    rest.then(data({}), Reply(status=0, reset=True))
    client.profile()  # so that the order leaves on a connection that stands
    with pytest.raises(OrderUncertain) as raised:
        client.place(proposal())
    assert (raised.value.code, raised.value.error_type) == (0, NO_ANSWER)
    assert len(rest.asked) == 2


def test_an_order_that_nobody_took_a_connection_for_in_time_never_left(clock: ManualClock) -> None:
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # who waits to be let in; then nobody is any more
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        root = resolve(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client = KiteClient(root, KEY, TOKEN, armed=True, clock=clock, timeout=0.2)
        with pytest.raises(OrderUncertain, match="not sent: no answer in time") as raised:
            client.place(proposal())
    assert raised.value.error_type == NOT_SENT


def test_an_order_without_an_answer_in_time_is_uncertain_and_sent_once(rest: FakeRest, clock: ManualClock) -> None:
    client = KiteClient(rest.endpoint, KEY, TOKEN, armed=True, clock=clock, timeout=0.2)
    held = threading.Event()
    rest.then(Reply({"status": "success", "data": {"order_id": "1"}}, hold=held))
    with pytest.raises(OrderUncertain, match="no answer in time") as raised:
        client.place(proposal())
    held.set()
    assert (raised.value.code, raised.value.error_type) == (0, NO_ANSWER)
    assert len(rest.asked) == 1


def test_an_order_to_a_closed_port_says_that_it_never_left(rest: FakeRest, clock: ManualClock) -> None:
    endpoint = rest.endpoint
    rest.close()
    client = KiteClient(endpoint, KEY, TOKEN, armed=True, clock=clock, timeout=1.0)
    with pytest.raises(OrderUncertain, match="not sent") as raised:
        client.place(proposal())
    assert raised.value.error_type == NOT_SENT


@pytest.mark.parametrize("kind", ["MarginException", "HoldingException", "UserException", "TwoFAException"])
def test_kites_error_type_is_kept_where_kiteconnect_forgets_it(rest: FakeRest, client: KiteClient, kind: str) -> None:
    rest.then(error(400, kind, "words of Kite"))
    with pytest.raises(OrderRefused, match="words of Kite") as raised:
        client.place(proposal())
    assert (raised.value.error_type, raised.value.code) == (kind, 400)


def test_kites_hints_are_kept(rest: FakeRest, client: KiteClient) -> None:
    text = "Your order could not be converted to a After Market Order (AMO)."
    rest.then(error(400, "InputException", text, {"hints": ["switch_to_amo"]}))
    with pytest.raises(OrderRefused, match=r"\(AMO\)\. \(Kite's hints: switch_to_amo\)"):
        client.place(proposal())


def test_a_read_is_tried_again_until_it_succeeds(rest: FakeRest, client: KiteClient) -> None:
    rest.then(error(429, "NetworkException", "Too many requests"), Reply(status=502, raw=b"", content_type="text/html"))
    rest.then(Reply(status=0), data([]))
    assert client.orders() == []
    assert len(rest.asked) == 4


def test_a_read_is_not_tried_for_ever(rest: FakeRest, client: KiteClient) -> None:
    rest.on("/orders", error(503, "NetworkException", "down"))
    with pytest.raises(KiteUnavailable, match="down"):
        client.orders()
    assert len(rest.asked) == 4


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (error(403, "TokenException", "Incorrect `api_key` or `access_token`."), SessionExpired),
        (error(403, "PermissionException", "Insufficient permission for that call."), NotPermitted),
        (error(400, "InputException", "Couldn't find that `order_id`."), KiteError),
    ],
)
def test_a_read_that_kite_refused_is_not_tried_again(
    rest: FakeRest, client: KiteClient, reply: Reply, meaning: type[BtkiteError]
) -> None:
    rest.then(reply)
    with pytest.raises(BtkiteError) as raised:
        client.order_history("1")
    assert type(raised.value) is meaning
    assert len(rest.asked) == 1


# -- secrets -------------------------------------------------------------------------------------


def test_no_error_log_or_repr_shows_the_token(
    rest: FakeRest, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = KiteClient(rest.endpoint, KEY, TOKEN, armed=True, clock=clock, debug=True, timeout=1.0)
    rest.then(error(400, "InputException", f"bad header: token {KEY}:{TOKEN} and access_token={TOKEN}"))
    shown = [repr(client), str(client)]
    with pytest.raises(OrderRefused) as raised:
        client.place(proposal())
    shown += [str(raised.value), repr(raised.value)]
    client.logout()  # the token is in the query of this call
    client.close()
    rest.close()
    with pytest.raises(BtkiteError) as raised_late:
        client.logout()
    shown += [str(raised_late.value), caplog.text]
    assert rest.asked[1].query["access_token"] == [TOKEN]
    assert not [text for text in shown if TOKEN in text]


# -- pacing --------------------------------------------------------------------------------------


def test_calls_are_paced_by_kind_on_the_clock(rest: FakeRest, client: KiteClient, clock: ManualClock) -> None:
    rest.on("/quote/ltp", data({}))
    client.ltp("NSE:INFY")
    client.ltp("NSE:INFY")
    assert clock.now() - NOON == timedelta(seconds=1.1)
    rest.on("/instruments/historical/1/minute", data({"candles": []}))
    for _ in range(4):
        client.historical(1, NOON, NOON, "minute")
    assert clock.now() - NOON == timedelta(seconds=2.2)


def test_an_exit_passes_where_an_entry_must_wait(rest: FakeRest, client: KiteClient, clock: ManualClock) -> None:
    for number in range(8):
        rest.then(data({"order_id": str(number)}))
        client.place(proposal())
    rest.then(data({"order_id": "8"}), data({"order_id": "9"}))
    client.place(proposal(reduces=True))
    assert clock.now() == NOON
    client.place(proposal())
    assert clock.now() > NOON


def test_quotes_are_asked_in_kites_portions(rest: FakeRest, client: KiteClient) -> None:
    rest.on("/quote", lambda asked: data({key: {"last_price": 1.0} for key in asked.query["i"]}))
    keys = [f"NSE:S{number}" for number in range(1100)]
    found = client.quote(keys)
    assert list(found) == keys
    assert [len(asked.query["i"]) for asked in rest.asked] == [500, 500, 100]
    assert client.quote("NSE:A", "NSE:A", ["NSE:B"]).keys() == {"NSE:A", "NSE:B"}


# -- what is read --------------------------------------------------------------------------------


def test_candles_come_as_columns_in_naive_ist(rest: FakeRest, client: KiteClient) -> None:
    rows = [
        ["2017-12-15T09:15:00+0530", 1704.5, 1705, 1699.25, 1702.8, 2499],
        ["2017-12-15T09:16:00+0530", 1702, 1702, 1698.15, 1698.15, 1271],
    ]
    rest.on("/instruments/historical/408065/minute", data({"candles": rows}))
    candles = client.historical(408065, datetime(2017, 12, 15, 9, 15), date(2017, 12, 16), "minute", continuous=True)
    assert candles["date"].astype(object).tolist() == [datetime(2017, 12, 15, 9, 15), datetime(2017, 12, 15, 9, 16)]
    assert candles["close"].tolist() == [1702.8, 1698.15]
    assert candles["volume"].tolist() == [2499, 1271]
    assert candles["oi"].tolist() == [0, 0]
    assert {name: str(column.dtype) for name, column in candles.items()} == {
        "date": "datetime64[s]", "open": "float64", "high": "float64", "low": "float64", "close": "float64",
        "volume": "int64", "oi": "int64",
    }  # fmt: skip
    query = rest.asked[0].query
    assert (query["from"], query["to"]) == (["2017-12-15 09:15:00"], ["2017-12-16"])
    assert (query["continuous"], query["oi"]) == (["1"], ["0"])


def test_candles_with_another_offset_are_turned_into_ist() -> None:
    columns = candle_columns([["2017-12-15T03:45:00+00:00", 1, 1, 1, 1, 0, 7]])
    assert columns["date"].astype(object).tolist() == [datetime(2017, 12, 15, 9, 15)]
    assert columns["oi"].tolist() == [7]


def test_no_candles_are_empty_columns() -> None:
    columns = candle_columns([])
    assert all(len(column) == 0 for column in columns.values())
    assert columns["date"].dtype == "datetime64[s]"


@pytest.mark.parametrize(
    "candles", [3, {"a": 1}, [["2017-12-15T09:15:00+0530", 1, 1]], [["x", 1, 1, 1, 1, 1]], [[None, 1, 1, 1, 1, 1]]]
)
def test_candles_that_make_no_sense_are_unavailable_not_a_crash(
    rest: FakeRest, client: KiteClient, candles: Any
) -> None:
    rest.on("/instruments/historical/1/day", data({"candles": candles}))
    with pytest.raises(KiteUnavailable, match="could not be read"):
        client.historical(1, NOON, NOON, "day")


def test_candles_that_are_null_are_none(rest: FakeRest, client: KiteClient) -> None:
    rest.on("/instruments/historical/1/day", data({"candles": None}))
    assert len(client.historical(1, NOON, NOON, "day")["date"]) == 0


def test_candles_equal_those_of_kiteconnect(shared: Path) -> None:
    from kiteconnect import KiteConnect

    for name in ("historical_minute.json", "historical_oi.json"):
        answer = json.loads((shared / "kite_mocks" / name).read_text())["data"]
        records = KiteConnect("x")._format_historical(answer)
        columns = candle_columns(answer["candles"])
        for field in records[0]:
            want = [record[field] for record in records]
            got = columns[field].tolist()
            if field == "date":
                want = [moment.replace(tzinfo=None) for moment in want]
                got = columns["date"].astype(object).tolist()
            assert got == want, (name, field)


HEAD = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,"
    "tick_size,lot_size,instrument_type,segment,exchange"
)
DUMP = f"""{HEAD}
408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE
12345,48,NIFTY26NOV26000CE,"NIFTY, 50",12.5,2026-11-24,26000.0,0.05,65,CE,NFO-OPT,NFO
5,0,NA,NULL,0,,0,0.01,1,EQ,NSE,NSE
"""


def test_the_dump_becomes_a_typed_table(rest: FakeRest, client: KiteClient) -> None:
    import pandas as pd

    rest.on("/instruments/NSE", Reply(raw=DUMP.encode(), content_type="text/csv"))
    table = client.instruments("NSE")
    assert table["instrument_token"].tolist() == [408065, 12345, 5]
    assert table["exchange_token"].tolist() == ["1594", "48", "0"]
    assert table["tradingsymbol"].tolist()[2] == "NA"  # a symbol, not a missing value
    assert table["name"].tolist() == ["INFOSYS", "NIFTY, 50", "NULL"]
    assert pd.isna(table["expiry"][0])
    assert table["expiry"][1] == pd.Timestamp(2026, 11, 24)
    assert table["lot_size"].tolist() == [1, 65, 1]
    assert table["tick_size"].tolist() == [0.05, 0.05, 0.01]


def test_the_dump_equals_that_of_kiteconnect(shared: Path) -> None:
    from kiteconnect import KiteConnect

    for name in ("instruments_all.csv", "instruments_nse.csv"):
        text = (shared / "kite_mocks" / name).read_bytes()
        records = KiteConnect("x")._parse_instruments(text)
        table = instrument_table(text)
        assert list(table.columns) == list(records[0])
        for column in table.columns:
            got = table[column].tolist()
            if column == "expiry":
                got = ["" if moment is moment_none(moment) else moment.date() for moment in got]
            assert got == [record[column] for record in records], (name, column)


def moment_none(value: Any) -> Any:
    """The value itself if it is pandas' missing moment, else None."""
    import pandas as pd

    return value if pd.isna(value) else None


def test_a_damaged_dump_is_unavailable(rest: FakeRest, client: KiteClient) -> None:
    rest.on("/instruments", Reply(raw=b"<html>", content_type="text/csv"))
    with pytest.raises(KiteUnavailable, match="could not be read"):
        client.instruments()


def test_positions_are_the_net_ones_with_what_was_held_overnight(rest: FakeRest, client: KiteClient) -> None:
    held = {"exchange": "NFO", "tradingsymbol": "NIFTY26NOVFUT", "product": "NRML", "average_price": 25_000.0}
    rows = {"net": [{**held, "quantity": 75, "overnight_quantity": 75}], "day": []}
    rest.on("/portfolio/positions", data(rows))
    (position,) = client.positions()
    assert (position.tradingsymbol, position.quantity, position.overnight_quantity) == ("NIFTY26NOVFUT", 75, 75)


def test_the_book_comes_as_updates_trades_and_positions(rest: FakeRest, client: KiteClient, shared: Path) -> None:
    mocks = shared / "kite_mocks"
    for path, name in (
        ("/orders", "orders.json"),
        ("/orders/171229000724687", "order_info.json"),
        ("/trades", "trades.json"),
        ("/portfolio/positions", "positions.json"),
        ("/portfolio/holdings", "holdings.json"),
    ):
        rest.on(path, Reply(raw=(mocks / name).read_bytes()))
    orders = client.orders()
    rows = json.loads((mocks / "orders.json").read_text())["data"]
    assert [order.order_id for order in orders] == [row["order_id"] for row in rows]
    assert {order.source for order in orders} == {Source.POLL}
    history = client.order_history("171229000724687")
    assert [update.status for update in history][:2] == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING"]
    trade = client.trades()[0]
    assert (trade.quantity, trade.average_price, trade.time) == (1, 420.65, datetime(2021, 5, 31, 9, 16, 39))
    net = json.loads((mocks / "positions.json").read_text())["data"]["net"]
    assert [position.quantity for position in client.positions()] == [row["quantity"] for row in net]
    assert client.holdings()[0]["tradingsymbol"]


# -- around --------------------------------------------------------------------------------------


def test_the_sandbox_gets_its_prefix_and_is_spared_what_it_cannot_do(rest: FakeRest, clock: ManualClock) -> None:
    from dataclasses import replace

    endpoint = replace(SANDBOX, rest_root=rest.root)
    client = KiteClient(endpoint, KEY, TOKEN, armed=True, clock=clock)
    rest.then(data({"order_id": "1"}), data({"candles": []}))
    client.place(proposal())
    client.historical(1, NOON, NOON, "day")
    rest.on("/instruments", Reply(raw=DUMP.encode(), content_type="text/csv"))
    client.instruments()
    assert [asked.path for asked in rest.asked] == [
        "/oms/orders/regular",
        "/oms/instruments/historical/1/day",
        "/instruments",
    ]
    for attempt in (
        lambda: client.place(proposal(order_type=OrderType.MARKET, market_protection=2.0)),
        client.gtts,
        lambda: client.order_margins([proposal()]),
        lambda: client.charges([{}]),
    ):
        with pytest.raises(RuleViolation, match="sandbox"):
            attempt()
    assert len(rest.asked) == 3


def test_any_other_call_of_kiteconnect_goes_through_the_same_door(rest: FakeRest, client: KiteClient) -> None:
    rest.on("/mf/orders", error(403, "TokenException", "Incorrect `api_key` or `access_token`."))
    with pytest.raises(SessionExpired):
        client.call("mf_orders")
    rest.on("/alerts", data([{"uuid": "u"}]))
    assert client.request("alerts") == [{"uuid": "u"}]


@pytest.mark.parametrize("name", ["_get", "nothing", "root", "set_access_token"])
def test_a_call_that_does_not_exist_is_said_so(client: KiteClient, name: str) -> None:
    with pytest.raises(ConfigError, match="kiteconnect has no call"):
        client.call(name)


def test_gtts_pass_through(rest: FakeRest, client: KiteClient) -> None:
    rest.then(data({"trigger_id": 123}))
    leg = {"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 90.0}
    assert client.place_gtt("single", "INFY", "NSE", [91.0], 100.0, [leg]) == 123
    assert json.loads(rest.asked[0].form["condition"])["trigger_values"] == [91.0]


def test_a_new_token_is_used_from_the_next_call_on(rest: FakeRest, client: KiteClient) -> None:
    rest.on("/user/profile", data({}))
    client.profile()
    client.set_token("another")
    client.profile()
    assert [asked.headers["Authorization"] for asked in rest.asked] == [f"token {KEY}:{TOKEN}", f"token {KEY}:another"]


def test_connections_leave_over_ipv4(clock: ManualClock) -> None:
    """A name with both addresses is tried over IPv4 only: an IPv6 listener is never reached."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this host")
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.bind(("::1", 0))
        except OSError as absent:
            pytest.skip(f"no IPv6 loopback: {absent}")
        listener.listen()
        client = KiteClient(resolve(f"http://[::1]:{listener.getsockname()[1]}"), KEY, TOKEN, clock=clock, attempts=1)
        with pytest.raises(KiteUnavailable) as raised:
            client.profile()
        assert raised.value.error_type == NOT_SENT


SOURCES = {
    "_request": "603e8935ca2026157c73e1a01fec3417639b71e32cca74cf269a80f28252ffae",
    "_format_historical": "10e14511bb9121e563c786f4a4e364f6ceeb45322137b423e669fa877f81fe10",
    "_parse_instruments": "e699b540873d05cef8bfb4e43c8a109a388eaf14dfb524f0a33c1d724f6bef6b",
}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_kiteconnects_private_methods_are_the_ones_we_wrapped(name: str) -> None:
    """We wrap or replace these. If one changed, read it, adapt the client, then note the new hash."""
    from kiteconnect import KiteConnect

    source = inspect.getsource(getattr(KiteConnect, name))
    assert hashlib.sha256(source.encode()).hexdigest() == SOURCES[name]


def test_a_late_refusal_of_the_old_token_says_nothing_of_the_new_one(rest: FakeRest, client: KiteClient) -> None:
    client.guard(lambda reason: None)

    def slow(asked: Any) -> Reply:
        client.believe("new-token")  # meanwhile
        return error(403, "TokenException", "Incorrect `api_key` or `access_token`.")

    rest.on("/user/profile", slow)
    with pytest.raises(SessionExpired):
        client.profile()
    assert not client.refused
