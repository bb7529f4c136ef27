"""``btkite check restart``: a strategy that remembers is found out, and one that looks is not."""

from __future__ import annotations

import textwrap

import pytest

from btkite.cli.app import main

LOOKS = """
import backtrader as bt

class Looks(bt.Strategy):
    def next(self):
        minute = self.datetime.time().minute
        if not self.position and minute % 10 == 5:
            self.buy(size=1)
        elif self.position and minute % 10 == 0:
            self.close()
"""

REMEMBERS = """
import backtrader as bt

class Remembers(bt.Strategy):
    def __init__(self):
        self.waited = 0

    def next(self):
        self.waited += 1
        if self.waited % 7 == 0:
            self.buy(size=1) if not self.position else self.close()
"""

AVERAGES = """
import backtrader as bt

class Averages(bt.Strategy):
    def __init__(self):
        self.slow = bt.ind.EMA(period=30)

    def next(self):
        if self.data.close[0] > self.slow[0] and not self.position:
            self.buy(size=1)
        elif self.data.close[0] < self.slow[0] and self.position:
            self.close()
"""


@pytest.fixture
def check(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def run(source, *options):
        (tmp_path / "mine.py").write_text(textwrap.dedent(source))
        call = ["check", "restart", "mine.py", "-s", "NSE:INFY", "--made-up", "-i", "5minute", "--kills", "1"]
        code = main([*call, *options])
        return code, capfd.readouterr().out

    return run


@pytest.mark.timeout(300)
def test_a_strategy_that_looks_at_what_is_goes_on_as_if_nothing_had_been(check):
    code, said = check(LOOKS)
    assert "the same after each of 1 restarts" in said
    assert code == 0


@pytest.mark.timeout(300)
def test_an_attribute_that_was_lost_is_named_with_the_first_bar_that_it_changed(check):
    code, said = check(REMEMBERS)
    assert "it decides differently" in said
    assert "likely because of self.waited" in said
    assert "it defines no restored()" in said
    assert code == 1


@pytest.mark.timeout(300)
def test_a_warm_up_that_is_too_short_is_said(check):
    code, said = check(AVERAGES, "--warmup", "10")
    assert "its indicators need more bars than the 10 of data.warmup" in said
    assert code == 1
