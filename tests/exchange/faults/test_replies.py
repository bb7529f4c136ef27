"""What may become of a REST call, seen by the unmodified ``kiteconnect``; the judge is the exchange's own book."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from kiteconnect import exceptions as kite_errors

from ..scene import KEY, candles
from .stage import FLAT, LONG, ORDER, SHORT, SOON, Stage, covers, header


@covers("reply_withheld_before", "reply_withheld_after")
@pytest.mark.parametrize(("kind", "booked"), [("reply_withheld_before", 0), ("reply_withheld_after", 1)])
def test_a_withheld_reply_runs_into_the_clients_time_out(stage: Stage, kind: str, booked: int) -> None:
    stage.steer.arm(kind, method="POST", seconds=LONG)
    with pytest.raises(requests.exceptions.ReadTimeout):
        stage.place()
    assert len(stage.book()) == booked
    row = stage.steer.requests()[-1]
    assert (row["status"], row["fault"]) == (None, kind)


def test_whoever_waits_longer_than_the_reply_is_withheld_is_cut_off(stage: Stage) -> None:
    stage.steer.arm("reply_withheld_after", method="POST", seconds=0.05)
    with pytest.raises(requests.exceptions.ConnectionError):
        stage.place()


@covers("connection_dropped_before", "connection_dropped_after")
@pytest.mark.parametrize(("kind", "booked"), [("connection_dropped_before", 0), ("connection_dropped_after", 1)])
def test_a_dropped_connection(stage: Stage, kind: str, booked: int) -> None:
    stage.steer.arm(kind, method="POST")
    with pytest.raises(requests.exceptions.ConnectionError):
        stage.place()
    assert len(stage.book()) == booked
    stage.place()  # the next call is served
    assert len(stage.book()) == booked + 1


@covers("timed_out_after_accept")
def test_an_order_that_timed_out_is_in_the_book(stage: Stage) -> None:
    stage.steer.arm("timed_out_after_accept")
    with pytest.raises(kite_errors.NetworkException, match="check the order book") as told:
        stage.place(tag="mine")
    assert told.value.code == 400
    assert [row["tag"] for row in stage.kite.orders()] == ["mine"]


@covers("too_many_requests", "server_error", "unavailable_503", "gateway_timeout")
@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("too_many_requests", kite_errors.NetworkException, 429),
        ("server_error", kite_errors.GeneralException, 500),
        ("unavailable_503", kite_errors.NetworkException, 503),
        ("gateway_timeout", kite_errors.NetworkException, 504),
    ],
)
def test_a_failure_of_the_server_has_its_code_and_nothing_was_done(
    stage: Stage, kind: str, error: type[Exception], code: int
) -> None:
    stage.steer.arm(kind)
    with pytest.raises(error) as told:
        stage.place()
    assert told.value.code == code  # type: ignore[attr-defined]
    assert stage.book() == []
    assert stage.last_fault() == kind


@pytest.mark.parametrize("kind", ["server_error", "html_502", "unavailable_503", "gateway_timeout"])
def test_a_failure_on_the_way_back_comes_after_the_order(stage: Stage, kind: str) -> None:
    stage.steer.arm(kind, accepted=True)
    with pytest.raises(kite_errors.KiteException):
        stage.place()
    assert len(stage.book()) == 1


@covers("html_502")
def test_a_page_of_html_is_no_json(stage: Stage) -> None:
    stage.steer.arm("html_502")
    reply = requests.get(f"{stage.exchange.url}/orders", headers=header(), timeout=SOON)
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html")
    assert "<h1>502 Bad Gateway</h1>" in reply.text
    stage.steer.arm("html_502")
    with pytest.raises(kite_errors.DataException):
        stage.place()


@covers("missing_content_type")
def test_without_a_content_type_the_official_client_trips(stage: Stage) -> None:
    stage.steer.arm("missing_content_type")
    with pytest.raises(KeyError, match="content-type"):
        stage.place()
    assert len(stage.book()) == 1


@covers("malformed_json")
def test_half_a_body_cannot_be_parsed(stage: Stage) -> None:
    stage.steer.arm("malformed_json")
    with pytest.raises(kite_errors.DataException, match="parse"):
        stage.place()
    assert len(stage.book()) == 1


@covers("missing_error_type")
def test_without_an_error_type_the_official_client_trips(stage: Stage) -> None:
    stage.steer.arm("missing_error_type", status=400)
    reply = requests.get(f"{stage.exchange.url}/orders", headers=header(), timeout=SOON)
    assert reply.status_code == 400
    assert reply.json() == {"status": "error", "message": "Something went wrong.", "data": None}
    stage.steer.arm("missing_error_type")
    with pytest.raises(TypeError, match="must be string"):
        stage.place()
    assert stage.book() == []


@covers("slow_reply")
def test_a_slow_reply_comes_after_all(stage: Stage) -> None:
    stage.steer.arm("slow_reply", seconds=SHORT * 2)
    assert stage.patient.place_order(**ORDER) == stage.book()[0]["order_id"]
    stage.steer.arm("slow_reply", seconds=SHORT * 2)
    with pytest.raises(requests.exceptions.ReadTimeout):
        stage.place()
    assert len(stage.book()) == 2


@covers("token_exception")
def test_a_token_exception_in_mid_session_fires_the_clients_hook(stage: Stage) -> None:
    fired = []
    stage.kite.set_session_expiry_hook(lambda: fired.append(True))
    stage.steer.arm("token_exception")
    with pytest.raises(kite_errors.TokenException):
        stage.kite.orders()
    assert fired == [True]
    assert stage.kite.orders() == []  # it was that call only
    stage.steer.arm("token_exception", kill=True)
    for _ in range(2):
        with pytest.raises(kite_errors.TokenException):
            stage.kite.orders()


@covers("ip_refused")
def test_an_unlisted_address_may_read_but_not_order(stage: Stage) -> None:
    stage.steer.arm("ip_refused", times=None, address="1.2.3.4")
    with pytest.raises(kite_errors.PermissionException, match=r"IP \(1.2.3.4\) is not allowed"):
        stage.place()
    with pytest.raises(kite_errors.PermissionException):
        stage.kite.cancel_order("regular", "1")
    assert stage.kite.orders() == []


@covers("no_permission")
def test_a_plan_without_market_data(stage: Stage) -> None:
    stage.steer.arm("no_permission")
    with pytest.raises(kite_errors.PermissionException, match="Insufficient permission"):
        stage.kite.ltp(KEY)
    stage.place()


@covers("needs_authorisation")
def test_holdings_that_must_be_authorised(stage: Stage) -> None:
    stage.steer.arm("needs_authorisation")
    with pytest.raises(kite_errors.InputException, match="10 quantity needs authorisation") as told:
        stage.place(transaction_type="SELL", product="CNC")
    assert told.value.code == 428


@covers("stale_orders")
def test_a_stale_order_book_shows_what_was_a_while_ago(stage: Stage) -> None:
    stage.place(tag="first")
    stage.steer.arm("stale_orders", times=None, seconds=20)
    order_id = stage.place(tag="second")
    assert [row["tag"] for row in stage.kite.orders()] == ["first"]
    assert stage.kite.order_history(order_id)[-1]["tag"] == "second"  # the order's own history is true
    stage.steer.advance(21)
    assert [row["tag"] for row in stage.kite.orders()] == ["first", "second"]
    stage.steer.disarm()
    stage.place(tag="third")
    assert len(stage.kite.orders()) == 3


@covers("stale_positions")
def test_stale_positions_show_what_was_a_while_ago(stage: Stage) -> None:
    stage.steer.arm("stale_positions", times=None, seconds=60)
    stage.place(order_type="MARKET", price=None)
    stage.steer.advance(20)
    assert stage.steer.positions()[0]["quantity"] == 10
    assert stage.kite.positions()["net"] == []
    stage.steer.advance(60)
    assert stage.kite.positions()["net"][0]["quantity"] == 10


@covers("freeze_rejection")
def test_a_quantity_above_the_freeze_quantity(stage: Stage) -> None:
    stage.steer.arm("freeze_rejection", freeze=6)
    with pytest.raises(kite_errors.InputException, match=r"quantity 10 \(10 lots\) is higher than .* 6 \(6 lots\)"):
        stage.place()


@covers("autoslice_child_failure")
def test_some_children_of_a_sliced_order_fail(load: Callable[..., Stage]) -> None:
    key = "NFO:NIFTY26NOVFUT"
    stage = load(candles={key: candles([FLAT] * 5)})
    order = {**ORDER, "exchange": "NFO", "tradingsymbol": "NIFTY26NOVFUT", "product": "NRML", "quantity": 65 * 100}
    stage.steer.arm("autoslice_child_failure", slices=[2, 4])
    answer = stage.kite.place_autoslice_order(**order)
    failed = ["error" in child for child in answer["children"]]
    assert failed == [False, True, False, True]
    assert answer["children"][1]["error"]["error_type"] == "MarginException"
    assert [row["quantity"] for row in stage.book()] == [1755, 1755]


@covers("rms_rejection")
def test_risk_management_rejects_after_the_reply(stage: Stage) -> None:
    stage.steer.arm("rms_rejection", seconds=2, message="no funds")
    order_id = stage.place()
    assert stage.kite.orders()[0]["status"] == "OPEN"
    stage.steer.advance(3)
    row = stage.kite.order_history(order_id)[-1]
    assert (row["status"], row["status_message"]) == ("REJECTED", "no funds")
    assert row["status_message_raw"].startswith("RMS:")


@covers("modification_cap")
def test_the_modification_cap(stage: Stage) -> None:
    order_id = stage.place()
    stage.steer.arm("modification_cap")
    with pytest.raises(kite_errors.NetworkException, match="Maximum allowed order modifications exceeded"):
        stage.kite.modify_order("regular", order_id, price=91.0)
    assert stage.book()[0]["price"] == 90.0


@covers("oms_maintenance")
def test_under_maintenance_orders_are_refused_and_reads_go_on(stage: Stage) -> None:
    stage.steer.arm("oms_maintenance", times=None)
    with pytest.raises(kite_errors.NetworkException, match="scheduled maintenance"):
        stage.place()
    assert stage.kite.orders() == []


@covers("instruments_of_yesterday")
def test_the_dump_of_yesterday_lacks_what_was_listed_today(load: Callable[..., Stage]) -> None:
    stage = load(symbols=("NSE:SBIN", "NSE:TCS"))
    names = {row["tradingsymbol"] for row in stage.kite.instruments("NSE")}
    stage.steer.arm("instruments_of_yesterday", missing=["NSE:SBIN"], changed={KEY: {"tick_size": 0.1, "lot_size": 2}})
    rows = {row["tradingsymbol"]: row for row in stage.kite.instruments("NSE")}
    assert names - set(rows) == {"SBIN"}
    assert (rows["INFY"]["tick_size"], rows["INFY"]["lot_size"]) == (0.1, 2)
    stage.steer.arm("instruments_of_yesterday")
    assert len(stage.kite.instruments("NSE")) == len(names) - 1


@covers("modify_races_trigger")
def test_a_modification_is_accepted_while_the_trigger_fires(stage: Stage) -> None:
    order_id = stage.place(order_type="SL-M", price=None, trigger_price=104.0, market_protection=-1)
    stage.steer.arm("modify_races_trigger")
    assert stage.kite.modify_order("regular", order_id, trigger_price=108.0) == order_id
    row = stage.book()[0]
    assert (row["status"], row["trigger_price"], row["average_price"]) == ("COMPLETE", 104.0, 104.0)
