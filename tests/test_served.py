"""The simulated exchange that somebody serves: by the name ``simulator``, nobody needs a key of Kite's."""

from __future__ import annotations

import socket
from datetime import datetime
from urllib.parse import urlsplit

import backtrader as bt
import pytest

from btkite import served
from btkite.cli.app import main
from btkite.config import Config
from btkite.errors import ConfigError, SessionExpired
from btkite.store import KiteStore
from btkite.testing import bars

DAY = datetime(2024, 7, 1)
KEY = "NSE:AAA"


@pytest.fixture
def at_simulator(kite_exchange, tmp_path):
    """The shipped defaults, but for the port, the exchange's own credentials and the folders."""
    kite_exchange.reset({KEY: bars("whipsaw", symbol=KEY, day=DAY, count=20)})
    own = {
        "exchange.port": urlsplit(kite_exchange.url).port,
        "exchange.api_key": kite_exchange.api_key,
        "exchange.access_token": kite_exchange.access_token,
        "exchange.user_id": kite_exchange.user_id,
        "paths.state": str(tmp_path / "state"),
        "data.cache": str(tmp_path / "candles"),
        "risk.enabled": False,
    }
    return Config().with_(**own)


def unserved(config: Config) -> Config:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return config.with_(**{"exchange.port": port})


class BuysOnce(bt.Strategy):
    def next(self):
        if len(self) == 3:
            self.buy(size=1)


@pytest.mark.parametrize(("mode", "sent"), [("paper", 0), ("live", 1)])
def test_a_store_by_hand_runs_on_a_stock_cerebro_without_a_key(kite_exchange, at_simulator, mode, sent):
    store = KiteStore(mode=mode, config=at_simulator, confirm=kite_exchange.user_id)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(store.getdata(KEY, interval="minute"))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(BuysOnce)
    cerebro.run()
    store.stop()
    assert len(kite_exchange.orders()) == sent


def test_a_real_key_in_the_environment_does_not_lock_one_out(kite_exchange, at_simulator):
    kites = {"api_key": "kitefakekey", "access_token": "token-of-kite", "user_id": "AB1234"}
    config = at_simulator.with_(**{f"broker.kite_connect.{name}": value for name, value in kites.items()})
    store = KiteStore(mode="live", config=config, confirm=kite_exchange.user_id)
    assert store.armed
    assert store.profile()["user_id"] == kite_exchange.user_id
    assert not KiteStore(mode="live", config=config, confirm="AB1234").armed
    assert served.opened(config).broker.kite_connect.api_key == kite_exchange.api_key


def test_the_exchanges_token_may_be_given_as_that_of_kite(kite_exchange, at_simulator):
    token = at_simulator.exchange.access_token
    config = at_simulator.with_(**{"exchange.access_token": "another", "broker.kite_connect.access_token": token})
    assert served.credentials(config) == (kite_exchange.api_key, token)
    assert KiteStore(mode="paper", config=config).profile()["user_id"] == kite_exchange.user_id


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_where_nobody_serves_one_sentence_says_what_to_start(at_simulator, mode):
    config = unserved(at_simulator)
    for use in (lambda store: store.client, lambda store: store.getdata(KEY, interval="minute")):
        with pytest.raises(ConfigError, match=r"^nobody serves an exchange on .*: start it with `btkite exchange`$"):
            use(KiteStore(mode=mode, config=config, confirm="SIM001"))


def test_a_port_that_is_none_is_said_to_be_none(at_simulator):
    with pytest.raises(ConfigError, match=r"exchange\.port is 0"):
        _ = KiteStore(mode="paper", config=at_simulator.with_(**{"exchange.port": 0})).client


def test_an_exchange_that_wants_a_login_says_so(at_simulator):
    with pytest.raises(SessionExpired, match="run `btkite login`"):
        _ = KiteStore(mode="paper", config=at_simulator.with_(**{"exchange.access_token": "another"})).client


def test_another_endpoint_is_left_as_it_is():
    config = Config().with_(**{"broker.kite_connect.endpoint": "kite"})
    assert served.addressed(config) is config
    assert served.opened(config) is config


# ---- from the command line ------------------------------------------------------------------------------------------


@pytest.fixture
def typed(at_simulator, tmp_path, monkeypatch, capsys):
    """The command line, with the settings of ``at_simulator`` in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    for name in ("KITE_API_KEY", "KITE_API_SECRET", "KITE_ACCESS_TOKEN", "KITE_USER_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BTKITE_PATHS__STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(tmp_path / "candles"))
    for name in ("port", "api_key", "access_token"):
        monkeypatch.setenv(f"BTKITE_EXCHANGE__{name.upper()}", str(getattr(at_simulator.exchange, name)))

    def run(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        return (code, *capsys.readouterr())

    return run


def test_candles_are_fetched_from_the_simulator_without_a_key(typed, kite_exchange):
    kite_exchange.steer.advance(1800)
    code, out, err = typed("data", "fetch", "-s", KEY, "-i", "minute", "--from", f"{DAY:%Y-%m-%d}")
    assert (code, err) == (0, "")
    assert f"{KEY} minute: " in out
    assert "stored from 2024-07-01" in out


def test_a_login_that_is_not_needed_is_not_asked_for(typed, kite_exchange):
    code, out, err = typed("login", "--no-browser")
    assert (code, err) == (0, "")
    assert f"needs no login: it knows {kite_exchange.user_id}" in out
    assert "developers.kite.trade" not in out


def test_a_login_where_nobody_serves_says_so(typed, at_simulator, monkeypatch):
    monkeypatch.setenv("BTKITE_EXCHANGE__PORT", str(unserved(at_simulator).exchange.port))
    code, out, err = typed("login", "--no-browser")
    assert (code, err) == (0, "")
    assert "the simulator needs no login" in out
    assert "`btkite exchange`" in out
