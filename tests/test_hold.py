"""What ``next()`` waits for: a symbol that does not trade holds the others for a while only, where a market runs."""

from __future__ import annotations

from tests.test_feeding import PACE, PAUSED, TUESDAY, A, after, at, candles, run

B = {"key": "NSE:BBB"}


def market(kite_exchange, first=20, count=24, *, running=True):
    """AAA trades each minute, BBB from minute ``first`` on."""
    bars = {
        "NSE:AAA": candles("NSE:AAA", days=(TUESDAY,), count=count),
        "NSE:BBB": candles("NSE:BBB", days=(TUESDAY,), count=count, seed=2, holes=set(range(first))),
    }
    kite_exchange.reset(bars, start=at(14), **(PAUSED if running else {}))
    return bars


def test_on_a_running_clock_next_goes_on_without_a_silent_symbol_and_takes_it_in_when_it_trades(kite_exchange):
    bars = market(kite_exchange)
    watch = run(kite_exchange, A, B, pace=PACE / 3, config={"data.patience": 180})
    # The first bar is of 09:16; three minutes later nobody waits any more.
    assert watch.traded["NSE:AAA"][0][0] == at(19)
    assert len(watch.traded["NSE:AAA"]) == 24 - 3
    assert watch.traded["NSE:BBB"] == after(bars["NSE:BBB"], TUESDAY)
    assert [text for text in watch.told if "goes on without it" in text] == [
        "NSE:BBB has no bar yet: next() goes on without it, its len() is 0"
    ]


def test_who_asks_for_it_waits_for_the_first_bar_of_every_symbol(kite_exchange):
    market(kite_exchange)
    watch = run(kite_exchange, A, B, pace=PACE / 3, config={"data.patience": None})
    assert watch.traded["NSE:AAA"][0][0] == at(36)
    assert not [text for text in watch.told if "goes on without it" in text]


def test_in_lock_step_every_symbol_is_waited_for_as_in_history(kite_exchange):
    market(kite_exchange, running=False)
    watch = run(kite_exchange, A, B, config={"data.patience": 60})
    assert watch.traded["NSE:AAA"][0][0] == at(36)


def test_a_symbol_whose_history_fails_does_not_hold_the_others(kite_exchange):
    """Two questions that fail are enough; a later one is answered, and its bars come then."""
    bars = market(kite_exchange, first=0)
    token = kite_exchange.store("paper").instrument("NSE:BBB").instrument_token
    kite_exchange.steer.arm("no_permission", method="GET", path=f"/instruments/historical/{token}/*", times=40)
    watch = run(kite_exchange, A, B, warmup=1, pace=PACE / 6)
    assert watch.traded["NSE:AAA"][0][0] < at(20)
    assert any("the other symbols go on without it" in text for text in watch.told)
    assert watch.bars["NSE:BBB"][-5:] == after(bars["NSE:BBB"], TUESDAY)[-5:]
    assert watch.bars["NSE:AAA"][-1][0] == at(39)
    ends = [bar[0] for bar in watch.bars["NSE:BBB"]]
    assert ends == sorted(set(ends))
