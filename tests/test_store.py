"""KiteStore: one account's connection, for Cerebro and for research; judged by what the exchange was asked."""

from __future__ import annotations

import pickle
import threading
from datetime import datetime, timedelta

import backtrader as bt
import pandas as pd
import pytest

from btkite.brokers.kite import KiteBroker
from btkite.brokers.sim import SimBroker
from btkite.candles import CandleCache
from btkite.clock import Bell, ExchangeClock, ManualClock, SystemClock, to_ist
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError, DataError, RuleViolation, SessionExpired, UnknownSymbol
from btkite.kite.secret import Secret
from btkite.kite.session import Session, TokenStore
from btkite.linetime import from_seconds, seconds_of
from btkite.modes import MODES
from btkite.store import KiteStore
from btkite.testing import bars
from btkite.testing.wire import TOKEN, USER, KiteExchange
from tests.kite.fakes import FakeRest, Reply, data

ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
DAY = datetime(2024, 7, 1)
KEYS = ("NSE:AAA", "NSE:BBB")


def market(name="whipsaw", count=20, **more):
    return {
        key: bars(shape, symbol=key, day=DAY, count=count) for key, shape in zip(KEYS, (name, "sideways"), strict=True)
    }


def orders_sent(exchange) -> list[tuple[str, str]]:
    asked = [(row["method"], row["path"]) for row in exchange.requests() if row["path"].startswith("/orders")]
    return [row for row in asked if row[0] != "GET"]


class Trades(bt.Strategy):
    """Buys on its third bar and sells on its sixth; writes down what it saw."""

    params = (("size", 1), ("then", None))

    def __init__(self):
        self.seen, self.orders, self.status, self.told = [], [], [], []

    def notify_data(self, feed, status, *args, **kwargs):
        self.status.append(feed._getstatusname(status))

    def notify_store(self, msg, *args, **kwargs):
        self.told.append(msg)

    def notify_order(self, order):
        self.orders.append((len(self), order.getstatusname(), order.executed.size, order.executed.price))

    def next(self):
        feed = self.data
        self.seen.append((from_seconds(seconds_of(feed.datetime[0])), feed.close[0]))
        if len(self.seen) == 3:
            self.buy(size=self.p.size)
            if self.p.then is not None:
                self.p.then()
        elif len(self.seen) == 6:
            self.close()


def run(store, *keys, engine=Cerebro, interval="minute", **params):
    cerebro = engine(stdstats=False, quicknotify=True)
    for key in keys or KEYS[:1]:
        cerebro.adddata(store.getdata(key, interval=interval))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Trades, **params)
    (ran,) = cerebro.run()
    return ran


# ---- what a store is ------------------------------------------------------------------------------------------------


def test_the_mode_says_which_broker_and_whose_bars(kite_exchange):
    kite_exchange.reset(market())
    kinds = {"backtest": (SimBroker, False), "paper": (SimBroker, True), "live": (KiteBroker, True)}
    for mode, (broker, streams) in kinds.items():
        store = KiteStore(mode=mode, config=kite_exchange.config(), confirm=USER)
        assert type(store.getbroker()) is broker
        assert store.streams is streams
        assert KiteStore(mode=MODES[mode], config=kite_exchange.config()).mode is MODES[mode]


@pytest.mark.parametrize(
    ("mode", "confirm", "armed"),
    [
        ("live", "SIM001", True),
        ("live", None, False),
        ("live", "", False),
        ("live", "SIM002", False),
        ("live", "sim001", False),
        ("paper", "SIM001", False),
        ("backtest", "SIM001", False),
    ],
)
def test_only_live_with_its_account_said_aloud_is_armed(mode, confirm, armed):
    config = Config().with_(**{"broker.kite_connect.user_id": "SIM001"})
    assert KiteStore(mode=mode, config=config, confirm=confirm).armed is armed


def test_no_account_at_all_is_never_armed():
    assert not KiteStore(mode="live", config=Config(), confirm="").armed


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="backtest, paper, live"):
        KiteStore(mode="practice", config=Config())


def test_each_store_is_its_own():
    assert KiteStore(config=Config()) is not KiteStore(config=Config())


def test_time_is_the_exchanges_on_a_simulator_and_the_machines_elsewhere(kite_exchange):
    kite_exchange.reset(market(), start=DAY + timedelta(hours=9))
    assert isinstance(kite_exchange.store().clock, ExchangeClock)
    assert kite_exchange.store().clock.now() == DAY + timedelta(hours=9)
    at_kite = Config().with_(**{"broker.kite_connect.endpoint": "kite"})
    assert isinstance(KiteStore(config=at_kite).clock, SystemClock)
    noon = ManualClock(DAY)
    assert KiteStore(config=at_kite, clock=noon).clock is noon


def test_an_exchange_that_nobody_serves_is_one_sentence(kite_exchange, tmp_path):
    gone = KiteExchange(tmp_path / "gone")
    with gone:
        url = gone.url
    config = kite_exchange.config(**{"broker.kite_connect.endpoint": url})
    with pytest.raises(ConfigError, match=r"nobody serves an exchange on .*: start it with `btkite exchange`"):
        KiteStore(mode="paper", config=config).getdata("NSE:AAA", interval="minute")


def test_a_server_that_is_no_exchange_is_one_sentence():
    fake = FakeRest()
    with pytest.raises(ConfigError, match="is no simulated exchange"):
        _ = KiteStore(config=Config().with_(**{"broker.kite_connect.endpoint": fake.root})).clock
    fake.close()


# ---- credentials ----------------------------------------------------------------------------------------------------


def at_kite(tmp_path, **keys):
    settings = {"endpoint": "kite", "api_key": "kitefakekey", **keys}
    return Config().with_(
        **{f"broker.kite_connect.{name}": value for name, value in settings.items()}, **{"paths.state": str(tmp_path)}
    )


def test_without_a_key_it_says_which_to_set(tmp_path):
    with pytest.raises(ConfigError, match="set KITE_API_KEY"):
        _ = KiteStore(config=at_kite(tmp_path, api_key="")).client


def test_without_a_token_of_today_it_says_to_log_in(tmp_path):
    with pytest.raises(SessionExpired, match="btkite login"):
        _ = KiteStore(config=at_kite(tmp_path)).client


def test_the_token_of_the_days_login_is_used_and_one_in_the_configuration_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    kept = TokenStore(tmp_path, "kitefakekey", "kite")
    kept.save(Session("kitefakekey", "AB1234", Secret("token-of-the-login"), SystemClock().now()))
    assert KiteStore(config=at_kite(tmp_path)).client.access_token == "token-of-the-login"
    given = KiteStore(config=at_kite(tmp_path, access_token="token-that-is-given"))
    assert given.client.access_token == "token-that-is-given"
    assert "token-that-is-given" not in repr(given.client)


# ---- nothing leaves an unarmed store --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "confirm"), [("paper", USER), ("live", None), ("live", "SIM999"), ("backtest", USER)])
def test_an_unarmed_stores_client_refuses_orders_before_the_wire(kite_exchange, mode, confirm):
    kite_exchange.reset(market())
    store = KiteStore(mode=mode, config=kite_exchange.config(), confirm=confirm)
    row = {"tradingsymbol": "AAA", "exchange": "NSE", "transaction_type": "BUY", "quantity": 1}
    calls = [
        lambda: store.client.call("place_order", "regular", product="MIS", order_type="LIMIT", price=1, **row),
        lambda: store.client.modify("1", "regular", quantity=2),
        lambda: store.client.cancel("1", "regular"),
        lambda: store.client.request("alerts", "POST"),
    ]
    for call in calls:
        with pytest.raises(RuleViolation, match="not armed"):
            call()
    with pytest.raises(ConfigError, match=f"pass confirm=USER_ID .--confirm {USER}.*; nothing was sent"):
        store.open_desk(lambda request: None)
    assert [row for row in kite_exchange.requests() if row["method"] != "GET"] == []


@pytest.mark.parametrize(
    ("user", "said", "sentence"),
    [
        ("", "SIM001", r"whose account it is: set broker.kite_connect.user_id \(KITE_USER_ID\); nothing was sent"),
        (USER, "SIM999", f"the account is {USER}, not SIM999"),
        (USER, None, "live orders need the account said aloud"),
    ],
)
def test_why_live_orders_may_not_leave_is_told_by_its_own_cause(kite_exchange, user, said, sentence):
    config = kite_exchange.config(**{"broker.kite_connect.user_id": user})
    with pytest.raises(ConfigError, match=sentence):
        KiteStore(mode="live", config=config, confirm=said).open_desk(lambda request: None)


@ENGINES
def test_a_live_run_without_its_account_ends_before_anything_is_sent(kite_exchange, engine):
    kite_exchange.reset(market())
    store = KiteStore(mode="live", config=kite_exchange.config())
    with pytest.raises(ConfigError, match="nothing was sent"):
        run(store, engine=engine)
    store.stop()
    assert orders_sent(kite_exchange) == []
    assert kite_exchange.orders() == []


def test_an_armed_run_sends_its_orders_and_paper_none(kite_exchange):
    kite_exchange.reset(market())
    run(kite_exchange.store("paper"))
    assert orders_sent(kite_exchange) == []
    kite_exchange.reset(market())
    run(kite_exchange.store("live"))
    assert orders_sent(kite_exchange) == [("POST", "/orders/regular")] * 2


def test_no_order_worker_exists_unless_armed(kite_exchange):
    found = {}
    for mode in ("paper", "live"):
        kite_exchange.reset(market())
        store = kite_exchange.store(mode)
        workers = []
        run(store, then=lambda workers=workers: workers.extend(thread.name for thread in threading.enumerate()))
        found[mode] = [name for name in workers if name == "kite-desk"]
    assert found == {"paper": [], "live": ["kite-desk"]}


def test_a_backtest_reaches_for_no_network(tmp_path, socket_disabled):
    store = KiteStore(config=Config().with_(**{"data.cache": str(tmp_path), "risk.enabled": False}))
    for candles in market().values():
        store.cache.write(candles)
    ran = run(store, *KEYS)
    assert len(ran.seen) == 20
    assert ran.status == []


# ---- a run ----------------------------------------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_strategy_runs_on_ours_and_on_the_stock_cerebro(kite_exchange, engine, mode):
    given = market()
    kite_exchange.reset(given)
    ran = run(kite_exchange.store(mode), *KEYS, engine=engine)
    candles = given[KEYS[0]]
    assert ran.seen == [
        (start + timedelta(minutes=1), close)
        for start, close in zip(candles.start.tolist(), candles.close.tolist(), strict=True)
    ]
    done = [row for row in ran.orders if row[1] == "Completed"]
    assert [(size, price) for _, _, size, price in done] == [(1, candles.open[3]), (-1, candles.open[6])]
    assert set(ran.status) == {"DELAYED", "LIVE"}
    assert ran.told[:2] == ["stream connecting", "stream connected"]


def test_live_warms_up_on_the_stock_cerebro_and_its_orders_are_denied_until_then(kite_exchange):
    kite_exchange.reset(market(count=375 + 12), start=DAY + timedelta(days=1, hours=9))
    store = kite_exchange.store("live", config=kite_exchange.config(**{"data.warmup": 5}))
    ran = run(store, engine=bt.Cerebro)
    assert len(ran.seen) == 5 + 12
    assert ran.orders[0][1] == "Rejected"
    assert ran.position.size == 0
    assert [row["method"] for row in kite_exchange.requests() if row["path"].startswith("/orders/")] == []


def test_a_store_can_run_again_and_its_threads_end_each_time(kite_exchange):
    kite_exchange.reset(market())
    store = kite_exchange.store("paper")
    before = set(threading.enumerate())
    first = run(store)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("kite-")]
    kite_exchange.reset(market())
    again = KiteStore(mode="paper", config=store.config.with_(**{"broker.kite_connect.endpoint": kite_exchange.url}))
    assert run(again).seen == first.seen
    store.stop()
    store.stop()


def test_one_store_serves_two_runs_one_after_the_other(kite_exchange):
    kite_exchange.reset(market(count=375 + 10), start=DAY + timedelta(hours=15, minutes=20))
    store = kite_exchange.store("paper", config=kite_exchange.config(**{"run.sessions": 1}))
    monday, tuesday = run(store), run(store)
    assert len(monday.seen) == 10
    assert len(tuesday.seen) == 10
    assert {when.date() for when, _ in tuesday.seen} == {(DAY + timedelta(days=1)).date()}


def a_session_that_ends(kite_exchange, then, later=None, **config):
    """A live run whose token dies when its strategy has just bought; what its strategy heard, and the store."""
    kite_exchange.reset(market())
    heard = []

    class Hears(Trades):
        def notify_order(self, order):
            heard.append(order.getstatusname())
            reasons.append(order.info.get("reason", ""))

        def next(self):
            super().next()
            if len(self.seen) == 7 and later is not None:
                later(sessions)

    reasons = []
    cerebro = Cerebro(stdstats=False)
    store = kite_exchange.store("live", config=kite_exchange.config(**config))
    store.reasons = reasons
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
    cerebro.setbroker(store.getbroker())
    sessions = kite_exchange._exchange._server

    def expire():
        sessions.call(sessions.venue.sessions.expire)
        then(sessions)

    cerebro.addstrategy(Hears, then=expire)
    return cerebro, store, heard


def test_a_session_that_nobody_renews_ends_the_run_at_its_deadline_and_rejects_nothing(kite_exchange):
    cerebro, store, heard = a_session_that_ends(kite_exchange, lambda server: None, **{"run.renew_within": 5})
    with pytest.raises(SessionExpired, match="btkite login"):
        cerebro.run()
    assert heard == ["Submitted"]
    assert kite_exchange.orders() == []
    refused = [to_ist(datetime.fromisoformat(row["time"])) for row in kite_exchange.requests() if row["status"] == 403]
    assert len(refused) > 5
    assert all(later - first >= timedelta(seconds=60) for first, later in zip(refused, refused[3:], strict=False))
    assert store.clock.now() - refused[0] >= timedelta(minutes=5)


def test_a_token_in_the_dot_env_file_goes_on_with_the_same_run_and_its_waiting_order(
    kite_exchange, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def renewed(server):
        token = server.call(lambda: server.venue.sessions.issue(server.venue.clock.now()))
        (tmp_path / ".env").write_text(f"KITE_ACCESS_TOKEN={token}\n")

    cerebro, store, heard = a_session_that_ends(kite_exchange, renewed)
    (ran,) = cerebro.run()
    assert heard[:3] == ["Submitted", "Accepted", "Completed"]
    assert [row["status"] for row in kite_exchange.orders()] == ["COMPLETE", "COMPLETE"]
    assert [said for said in ran.told if said.startswith("session")] == ["session lost", "session renewed"]
    assert not store.broker.gate.paused


def test_an_entry_at_market_that_waited_for_minutes_is_cancelled_and_never_sent(kite_exchange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def renewed(server):
        token = server.call(lambda: server.venue.sessions.issue(server.venue.clock.now()))
        (tmp_path / ".env").write_text(f"KITE_ACCESS_TOKEN={token}\n")

    cerebro, store, heard = a_session_that_ends(kite_exchange, lambda server: None, renewed)
    (ran,) = cerebro.run()
    assert "session renewed" in ran.told
    assert heard == ["Submitted", "Canceled"]
    assert "no session for" in store.reasons[-1]
    assert kite_exchange.orders() == []


# ---- several at once ------------------------------------------------------------------------------------------------


@pytest.fixture
def two(kite_exchange, tmp_path):
    """Two exchanges, each with an account and prices of its own."""
    with KiteExchange(tmp_path / "second") as second:
        kite_exchange.reset(market("uptrend"))
        second.reset(market("downtrend"), user_id="SIM777", auto_token="token-of-the-second", api_key="second")
        yield kite_exchange, second


def store_of(second) -> KiteStore:
    keys = {"user_id": "SIM777", "access_token": "token-of-the-second", "api_key": "second"}
    config = second.config(**{f"broker.kite_connect.{name}": value for name, value in keys.items()})
    return KiteStore(mode="live", config=config, confirm="SIM777")


def test_two_accounts_run_at_once_and_share_nothing(two):
    first, second = two
    alone = run(first.store("live"), size=2).seen
    first.reset(market("uptrend"))
    stores, found, errors = [first.store("live"), store_of(second)], {}, []

    def go(number, store):
        try:
            found[number] = run(store, size=number + 2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=go, args=pair) for pair in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert found[0].seen == alone
    assert found[1].seen != alone
    assert [one.profile()["user_id"] for one in stores] == [USER, "SIM777"]
    for number, exchange in enumerate(two):
        assert {row["quantity"] for row in exchange.orders()} == {number + 2}
        assert {row["placed_by"] for row in exchange.orders()} == {(USER, "SIM777")[number]}
    assert stores[0].client.access_token == TOKEN
    assert stores[1].client.access_token == "token-of-the-second"


def test_prices_of_one_root_are_not_those_of_another(two):
    first, second = two
    stores = first.store("paper"), store_of(second)
    for exchange in two:
        clock = ExchangeClock(exchange.url)
        clock.wait(Bell(), clock.now() + timedelta(minutes=20))  # the open
        clock.wait(Bell())  # the first bar
        clock.close()
    quotes = [store.ltp("NSE:AAA")["NSE:AAA"] for store in stores]
    assert quotes[0] != quotes[1]


# ---- research -------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(kite_exchange):
    """A store beside a market in its fifth minute, with a position and a share in the holdings."""
    kite_exchange.reset(market("uptrend"), holdings={"NSE:BBB": (7, 900.0)})
    store = kite_exchange.store("live")
    run(store, then=None)
    return store


def test_quotes_come_by_key_and_the_default_exchange_may_be_left_out(desk):
    last = market("uptrend")["NSE:AAA"].close[-1]
    assert desk.ltp("AAA", "NSE:BBB")["NSE:AAA"] == last
    assert desk.ohlc("NSE:AAA")["NSE:AAA"]["last_price"] == last
    assert desk.quote("NSE:AAA")["NSE:AAA"]["depth"]["buy"][0]["price"] == last
    assert desk.quote("NSE:NONE", "NSE:BBB").keys() == {"NSE:BBB"}


def test_the_book_the_account_and_the_dump(desk):
    assert [order.status for order in desk.orders()] == ["COMPLETE", "COMPLETE"]
    assert [trade.quantity for trade in desk.trades()] == [1, 1]
    assert [(row.tradingsymbol, row.quantity) for row in desk.positions()] == [("AAA", 0)]
    assert [(row["tradingsymbol"], row["quantity"]) for row in desk.holdings()] == [("BBB", 7)]
    assert desk.margins("equity")["net"] > 0
    assert set(desk.margins()) >= {"equity", "commodity"}
    assert desk.profile()["user_id"] == USER
    assert set(desk.instruments("NSE")["tradingsymbol"]) == {"AAA", "BBB"}


def test_history_is_a_frame_straight_from_kite_also_without_a_stream(kite_exchange):
    given = market("uptrend", count=375 + 5)
    kite_exchange.reset(given, start=DAY + timedelta(days=1, hours=12))
    store = KiteStore(mode="backtest", config=kite_exchange.config())
    found = store.history("AAA", "minute", DAY, DAY + timedelta(days=1, hours=12))
    expected = given["NSE:AAA"].frame()
    pd.testing.assert_frame_equal(
        found[["date", "open", "high", "low", "close"]], expected[["date", "open", "high", "low", "close"]]
    )
    with pytest.raises(UnknownSymbol, match="NSE:AAA"):
        store.history("NSE:AAB")


def test_a_backtest_may_take_its_candles_from_kite(kite_exchange):
    given = market("uptrend")
    kite_exchange.reset(given, start=DAY + timedelta(hours=18))
    store = KiteStore(config=kite_exchange.config(**{"data.source": "kite"}))
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute", fromdate=DAY, todate=DAY.date()))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Trades)
    assert [close for _, close in cerebro.run()[0].seen] == given["NSE:AAA"].close.tolist()


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_a_backtest_may_take_its_candles_from_a_file(tmp_path, source):
    frame = market()["NSE:AAA"].frame()
    path = tmp_path / f"AAA.{source}"
    frame.to_csv(path, index=False) if source == "csv" else frame.to_parquet(path, index=False)
    config = Config().with_(
        **{
            "data.cache": str(tmp_path / "cache"),
            "data.source": source,
            "data.path": str(tmp_path / f"{{symbol}}.{source}"),
        }
    )
    store = KiteStore(config=config)
    store.cache.write(bars("flat", symbol="NSE:AAA", count=1))
    ran = run(store)
    assert [close for _, close in ran.seen] == market()["NSE:AAA"].close.tolist()


# ---- instruments ----------------------------------------------------------------------------------------------------

DUMP = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n{token},1594,AAA,AAA,0,,0,0.05,1,EQ,NSE,NSE\n"
)


@pytest.fixture
def dump(tmp_path):
    """Servers of a dump, each with a token of its own, and stores of them with one cache."""
    fakes = []

    def serve(token):
        fake = FakeRest()
        fakes.append(fake)
        fake.on("/instruments", Reply(raw=DUMP.format(token=token).encode(), content_type="text/csv"))
        fake.on("/user/profile", data({"user_id": "AB1234"}))
        return fake

    def store(fake, now):
        keys = {"endpoint": fake.root, "api_key": "kitefakekey", "access_token": "token-of-a-dump", "user_id": "AB1234"}
        config = Config().with_(
            **{f"broker.kite_connect.{name}": value for name, value in keys.items()}, **{"data.cache": str(tmp_path)}
        )
        return KiteStore(mode="paper", config=config, clock=ManualClock(now))

    yield serve, store
    for fake in fakes:
        fake.close()


def test_the_dump_is_asked_for_once_a_day_and_endpoint(dump):
    serve, store = dump
    here, there = serve(11), serve(22)
    noon = DAY + timedelta(hours=12)
    assert [store(here, noon).instrument("AAA").instrument_token for _ in range(3)] == [11, 11, 11]
    assert len(here.asked) == 1
    assert store(there, noon).instrument("NSE:AAA").instrument_token == 22
    assert store(here, noon + timedelta(days=1)).instrument("NSE:AAA").instrument_token == 11
    assert (len(here.asked), len(there.asked)) == (2, 1)


def test_a_simulated_exchanges_dump_is_not_kept_for_the_next_one(kite_exchange, tmp_path):
    kite_exchange.reset(market())
    config = kite_exchange.config(**{"data.cache": str(tmp_path)})
    KiteStore(mode="paper", config=config).instrument("NSE:AAA")
    kite_exchange.reset({"NSE:ZZZ": bars("flat", day=DAY, count=5)})
    with pytest.raises(UnknownSymbol):
        KiteStore(mode="paper", config=config).instrument("NSE:AAA")
    assert not list(tmp_path.glob("**/*127.0.0.1*"))


def test_an_unknown_symbol_comes_with_suggestions_and_for_a_backtest_with_what_to_run(kite_exchange, tmp_path):
    kite_exchange.reset(market())
    with pytest.raises(UnknownSymbol, match="NSE:AAA"):
        kite_exchange.store().instrument("NSE:AAX")
    history = KiteStore(config=Config().with_(**{"data.cache": str(tmp_path)}))
    with pytest.raises(DataError, match=r"^no candles of NSE:AAX are stored: .*data fetch.*data import.*--made-up"):
        history.instrument("NSE:AAX")
    CandleCache(tmp_path).write(bars("flat", symbol="NSE:AAA", count=3))
    with pytest.raises(UnknownSymbol, match=r"did you mean NSE:AAA\? \(candles are fetched with"):
        KiteStore(config=history.config).instrument("NSE:AAX")


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_a_pickled_store_has_what_was_read_and_no_connection(tmp_path):
    store = KiteStore(config=Config().with_(**{"data.cache": str(tmp_path), "risk.enabled": False}))
    store.cache.write(market()["NSE:AAA"])
    store.instrument("NSE:AAA")
    copy = pickle.loads(pickle.dumps(store))
    assert copy.instrument("NSE:AAA") == store.instrument("NSE:AAA")
    assert copy.inbox is not store.inbox
    assert run(copy).seen == run(store).seen
