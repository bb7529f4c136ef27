"""``btkite resume``: an account that a loss limit or the kill switch has shut trades again, by a person's word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import btkite as package
from btkite.cli.app import main
from btkite.clock import SystemClock
from btkite.exchange import Exchange, ExchangeSettings
from btkite.journal import AccountLock, Journal
from btkite.risk.gate import KillSwitch
from btkite.simulator import candle_series
from btkite.testing import bars

SYMBOL = "NSE:TEST"
CODE = """
import backtrader as bt


class Loser(bt.Strategy):
    '''Buys for nearly all it has on its first bar, tries a share more on the fourth, and sells on the fifth.'''

    def next(self):
        if len(self) == 1:
            self.buy(size=900)
        elif len(self) == 4:
            self.buy(size=1)
        elif len(self) == 5:
            self.close()
"""
Btkite = Callable[..., tuple[int, str, str]]
WHY = ("--reason", "looked at")


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    """Three sessions of hours: the price falls from 100 to 90 in the first, and stays."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    monkeypatch.chdir(tmp_path)
    rows = [100.0, 100.0, 90.0, 90.0, 90.0, 90.0, 90.0] + [90.0] * 14
    candles = bars.from_rows(rows, interval="60minute")
    series = candle_series(candles)
    begin = candles.first - timedelta(minutes=15)
    settings = ExchangeSettings(
        candles={SYMBOL: series}, start=begin, auto_token="token-of-the-loser", api_key="key-1", expire_tokens=False
    )
    with Exchange(settings) as running:
        (tmp_path / "loser.py").write_text(CODE)
        (tmp_path / "config.yaml").write_text(
            f"broker:\n  kite_connect:\n    endpoint: {running.url}\n    user_id: SIM001\n    api_key: key-1\n"
            f"paths:\n  state: {tmp_path / 'state'}\n"
            "risk:\n  max_position_pct: 100\n  max_portfolio_loss_pct: 5\n"
        )
        monkeypatch.setenv("KITE_ACCESS_TOKEN", "token-of-the-loser")
        yield running


def trade(btkite: Btkite, mode: str = "live") -> tuple[int, str, str]:
    """One session."""
    said = ("--confirm", "SIM001") if mode == "live" else ()
    return btkite(
        "run", "loser.py:Loser", "-s", SYMBOL, "--interval", "60minute", "--mode", mode, "--sessions", 1, *said
    )


def folder(market: Exchange, mode: str = "live") -> Path:
    return Path("state") / market.url.removeprefix("http://").replace(":", "-") / "SIM001" / mode


def events(market: Exchange, kind: str, mode: str = "live") -> list[dict[str, Any]]:
    with Journal(folder(market, mode) / "journal.sqlite", SystemClock()) as journal:
        assert journal.verify() is None
        return [event.data for event in journal.events(kind)]


def traded(market: Exchange, mode: str = "live") -> list[int]:
    """Units of each execution, by the journal."""
    with Journal(folder(market, mode) / "journal.sqlite", SystemClock()) as journal:
        return [event.data["quantity"] for event in journal.events("fill")]


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_an_account_that_a_loss_has_shut_trades_again_once_a_person_says_so(
    btkite: Btkite, market: Exchange, mode: str
) -> None:
    code, out, err = trade(btkite, mode)
    assert code == 3, (out, err)
    assert traded(market, mode) == [900, 900]

    code, out, err = trade(btkite, mode)  # the next session, and it is still shut
    assert code == 3
    assert traded(market, mode) == [900, 900]

    code, out, err = btkite("resume", "--mode", mode)
    assert (code, out) == (2, "")
    assert f"the gate of SIM001 ({mode} on " in err
    assert "of the capital are lost, the limit is ₹5,000.00" in err
    assert "since 20" in err
    assert "say why it may trade again, with --reason; nothing was changed" in err
    assert events(market, "resumed", mode) == []

    code, out, err = btkite("resume", *WHY, "--mode", mode, "--confirm", "SIM001")
    assert (code, err) == (0, "")
    assert "it is open again" in out
    (event,) = events(market, "resumed", mode)
    assert event["reason"] == "looked at"
    assert "of the capital are lost" in event["limit"]
    assert event["book"]["ledger"]["latched"] is None
    assert event["value"] == pytest.approx(91_000, abs=200)

    code, out, err = trade(btkite, mode)
    assert code == 0, (out, err)
    assert traded(market, mode) == [900, 900, 900, 1, 901]


def test_nothing_is_resumed_for_another_account(btkite: Btkite, market: Exchange) -> None:
    KillSwitch(folder(market) / "kill").engage("enough for today")
    code, _, err = btkite("resume", *WHY, "--confirm", "AB1234")
    assert code == 2
    assert "it was AB1234 that was named, and nothing was changed" in err
    assert (folder(market) / "kill").exists()


def test_another_account_is_refused_also_where_nothing_is_shut(btkite: Btkite, market: Exchange) -> None:
    code, out, err = btkite("resume", *WHY, "--confirm", "AB1234")
    assert (code, out) == (2, "")
    assert "it was AB1234 that was named, and nothing was changed" in err


@pytest.mark.parametrize("words", [(), ("--reason", ""), ("--reason", "  ")])
def test_without_a_reason_nothing_is_resumed(btkite: Btkite, market: Exchange, words: tuple[str, ...]) -> None:
    KillSwitch(folder(market) / "kill").engage("enough for today")
    code, out, err = btkite("resume", "--confirm", "SIM001", *words)
    assert (code, out) == (2, "")
    assert "the kill switch is engaged (enough for today)" in err
    assert "say why it may trade again, with --reason; nothing was changed" in err
    assert (folder(market) / "kill").exists()


def test_the_kill_switch_is_taken_back_and_said(btkite: Btkite, market: Exchange) -> None:
    KillSwitch(folder(market) / "kill").engage("enough for today")
    code, out, _ = btkite("resume", *WHY, "--confirm", "SIM001")
    assert code == 0
    assert "the kill switch is engaged (enough for today)" in out
    assert not (folder(market) / "kill").exists()


def test_a_kill_switch_that_was_touched_by_hand_is_taken_back_too(btkite: Btkite, market: Exchange) -> None:
    folder(market).mkdir(parents=True)
    (folder(market) / "kill").touch()
    assert "the kill switch is engaged (set by hand)" in btkite("resume", *WHY, "--confirm", "SIM001")[1]
    assert not (folder(market) / "kill").exists()


def test_where_nothing_is_shut_it_says_so(btkite: Btkite, market: Exchange) -> None:
    code, out, err = btkite("resume")
    assert (code, err) == (0, "")
    assert out.endswith("is open: there is nothing to resume\n")
    assert not folder(market).exists()


def test_while_a_run_holds_the_account_it_says_whose_and_what_to_do(btkite: Btkite, market: Exchange) -> None:
    KillSwitch(folder(market) / "kill").engage("enough for today")
    with AccountLock(folder(market) / "lock", SystemClock(), command="btkite run"):
        code, _, err = btkite("resume", *WHY, "--confirm", "SIM001")
    assert code == 5
    assert "another process runs this account: btkite run, pid" in err
    assert "end it first, then resume" in err
    assert (folder(market) / "kill").exists()


def test_a_backtest_has_no_account_to_resume(btkite: Btkite, market: Exchange) -> None:
    code, _, err = btkite("resume", *WHY, "--mode", "backtest", "--confirm", "SIM001")
    assert code == 2
    assert "backtest keeps no account that could be resumed: use paper or live" in err


def test_the_built_in_exchanges_account_is_found_whether_it_serves_or_not(
    btkite: Btkite, market: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = [Path("state") / place / "SIM001" / "live" / "kill" for place in ("simulator", "127.0.0.1-8765")]
    for kill in kills:
        KillSwitch(kill).engage("both")
    assert btkite("resume", *WHY, "--endpoint", "simulator", "--confirm", "SIM001")[0] == 0
    assert [kill.exists() for kill in kills] == [False, False]


def test_python_may_resume_too(market: Exchange) -> None:
    KillSwitch(folder(market) / "kill").engage("enough for today")
    found = package.resume("live", reason="looked at", confirm="SIM001")
    assert found.kill == "enough for today"
    assert not (folder(market) / "kill").exists()
    assert not package.resume("live", reason="again")


def test_losses_count_anew_after_trading_was_resumed(btkite: Btkite, market: Exchange) -> None:
    trade(btkite)
    package.resume("live", reason="looked at", confirm="SIM001")
    ledger = events(market, "resumed")[0]["book"]["ledger"]
    assert ledger["loss_from"] == pytest.approx(91_000, abs=200)
    assert ledger["capital"] == 100_000


def test_only_the_modes_that_keep_an_account_are_offered(market: Exchange, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "--mode", "foo"]) == 2
    assert capsys.readouterr().err == "error: there is no mode 'foo' that keeps an account: use paper or live\n"
    assert main(["resume", "--mode", "backtest"]) == 2
    assert capsys.readouterr().err == "error: backtest keeps no account that could be resumed: use paper or live\n"
