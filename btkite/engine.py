"""btkite.Cerebro: backtrader's Cerebro with what live trading needs and backtrader lacks.

* Fills of a bar are played before the strategy sees the bar (docs/fills.md), in history as in live.
* Order notifications come at once (``quicknotify``), in every mode.
* Warm-up bars call ``prenext()``; ``next()``, timers and orders are held until every feed is live.
* Timers go by the clock on a market that runs by itself: a square-off does not wait for a bar.
* A fill that is heard late gives its trade the time of the fill (:mod:`btkite.dated`).
* One symbol that does not trade does not hold the others (:mod:`btkite.hold`), and long runs do not fill the
  memory (:mod:`btkite.forgetting`).
* The run is cleaned up whatever happens: strategies, brokers, feeds and stores are stopped when ``next()`` raises.
* What the market said before the end is heard: a fill that comes while a run is being stopped is told.
* Resampling a live feed no longer ends in ``min() arg is an empty sequence``.
* ``plot()`` works on a machine without a screen.

Nothing is patched globally: a stock ``bt.Cerebro`` beside it behaves as always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt

from .dated import tell
from .errors import ConfigError
from .feed import KiteData
from .forgetting import forget
from .hold import Hold
from .linetime import seconds_of
from .log import get_logger
from .prompt import prompt
from .timing import begin_day

log = get_logger(__name__)


class Cerebro(bt.Cerebro):
    """A drop-in for ``bt.Cerebro``.

    Params (beside backtrader's own):
      - ``quicknotify`` (``True``): tell strategies of orders when it happens, not with the next bar.
      - ``warmup`` (``"hold"``): ``"play"`` calls ``next()`` during warm-up too, its orders are denied.
    """

    params = (("quicknotify", True), ("warmup", "hold"), ("engine", "auto"))

    engine = ""
    """Which loop ran: ``fast`` or ``stock``; empty before a run."""
    shelf: Any = None
    """Where indicators' lines are kept for other runs of this process, if they are (:mod:`btkite.fast.shelf`)."""
    why_stock = ""
    """Why it was not the fast loop."""

    def resampledata(self, dataname: Any, name: str | None = None, **kwargs: Any) -> Any:
        """As backtrader's; a :class:`~btkite.feed.KiteData` becomes one of the coarser interval, and history stays
        preloaded."""
        if not isinstance(dataname, KiteData):
            return super().resampledata(dataname, name=name, **kwargs)
        if any(dataname is data for data in self.datas):
            dataname = dataname.clone()
        dataname.resample(**kwargs)
        self.adddata(dataname, name=name)
        self._doreplay: bool = bool(self._doreplay or dataname.resampling)
        return dataname

    def plot(self, *args: Any, **kwargs: Any) -> Any:
        """backtrader's charts, also on a machine without a screen: save the figures that it returns."""
        from . import plotting

        plotting.ready()
        with plotting.quiet():
            return super().plot(*args, **kwargs)

    # -- a run ----------------------------------------------------------------------------------------

    def runstrategies(self, iterstrat: Any, predata: bool = False) -> Any:
        self._holds: list[Hold] = []
        self._under_way, self._timed = False, float("-inf")
        self.engine, self.why_stock = "stock", ""
        with prompt(on=any(_streams(data) for data in self.datas)):
            try:
                return super().runstrategies(iterstrat, predata=predata)
            except BaseException:
                self._clean_up()
                raise

    def stop_writers(self, runstrats: Any) -> None:
        """As backtrader's, which gathers all that writers might write (every analysis) also where there are none."""
        if self.runwriters:
            super().stop_writers(runstrats)

    def _clean_up(self) -> None:
        """backtrader stops nothing when a callback raises. Every part gets its stop, strategies (and their
        analyzers) if bars had begun; the first error stays."""
        strategies = self.runningstrats if self._under_way else ()
        parts: list[Any] = [self._broker, *self.datas, *self.feeds, *self.stores]
        for part, stop in [*((s, s._stop) for s in strategies), *((part, part.stop) for part in parts)]:
            try:
                stop()
            except Exception as error:  # noqa: BLE001 - the run's own error must not be hidden by a second one
                log.warning("stop failed", part=type(part).__name__, error=repr(error))

    def _hold(self, runstrats: Sequence[Any]) -> None:
        self._under_way = True
        self._holds = []
        for strategy in runstrats:
            hold = Hold(strategy, self.p.warmup == "hold")
            if hold.needed:
                strategy._getminperstatus = hold
                self._holds.append(hold)

    def _check_timers(self, runstrats: Any, dt0: float, cheat: bool = False) -> None:
        # A bar from before what the clock has fired up to comes late: backtrader would begin its day once more.
        if dt0 >= self._timed and not any(hold.warming() for hold in self._holds):
            super()._check_timers(runstrats, dt0, cheat=cheat)

    def _play(self, until: float) -> None:
        """Let a simulating broker fill what trades before ``until``, while the lines still end before it."""
        play = getattr(self._broker, "play_until", None)
        if play is not None:
            self._deliver()  # an answer to what was said in next() comes before the next print
            play(seconds_of(until))
            self._deliver()

    def _clock_timers(self, runstrats: Sequence[Any]) -> None:
        """Timers whose time has come although no bar has: in the order of a bar's turn, without ``next()``."""
        if not (self._timers or self._timerscheat) or not all(len(strategy) for strategy in runstrats):
            return
        if any(hold.catching_up() for hold in self._holds):
            return
        moments = [store.timers_due() for store in self.stores if hasattr(store, "timers_due")]
        moment = max((moment for moment in moments if moment is not None), default=None)
        if moment is not None:
            for timer in (*self._timers, *self._timerscheat):
                begin_day(timer, moment)
            self._timed = bt.date2num(moment)
            super()._check_timers(runstrats, self._timed, cheat=True)
            super()._check_timers(runstrats, self._timed, cheat=False)

    def _hear_out(self) -> None:
        """The run is being stopped: what the market has said by now is still applied and told."""
        for store in self.stores:
            if hasattr(store, "hear_out"):
                store.hear_out()
        if hasattr(self._broker, "before_end"):
            self._broker.before_end()
        self._deliver()

    def _deliver(self) -> None:
        while (order := self._broker.get_notification()) is not None:
            owner = self.runningstrats[0] if order.p.owner is None else order.p.owner
            tell(owner, order, quicknotify=self.p.quicknotify)

    def _brokernotify(self) -> None:
        self._broker.next()
        self._deliver()

    def _runonce(self, runstrats: Any) -> None:
        self._all_at_once(runstrats)
        if self._event_stop:
            self._hear_out()

    def _runnext(self, runstrats: Any) -> None:
        if not any(_streams(data) for data in self.datas):
            self._fall_back("its bars are taken one by one, not all beforehand")
        self._one_by_one(runstrats)
        if self._event_stop:
            self._hear_out()

    def _runonce_old(self, runstrats: Any) -> None:
        self._fall_back("oldsync is on")
        super()._runonce_old(runstrats)

    def _runnext_old(self, runstrats: Any) -> None:
        self._fall_back("oldsync is on")
        super()._runnext_old(runstrats)

    def _all_at_once(self, runstrats: Any) -> None:
        """backtrader's loop with the broker's turn before the lines move. Where there are fewer bars than an indicator
        needs, backtrader's vectors end in an IndexError; bar by bar, the run ends without a ``next()``."""
        if any(_too_few(strategy) for strategy in runstrats):
            self._fall_back("there are fewer bars than its indicators need")
            self._one_by_one(runstrats)
            return
        if self._go_fast(runstrats):
            return
        datas = sorted(self.datas, key=lambda data: (data._timeframe, data._compression))
        while True:
            ahead = [data.advance_peek() for data in datas]
            dt0 = min(ahead)
            if dt0 == float("inf"):
                self._deliver()  # of orders given on the last bar
                break
            self._play(dt0)
            if self._event_stop:
                return
            for data, stamp in zip(datas, ahead, strict=True):
                if stamp <= dt0:
                    data.advance()
            self._check_timers(runstrats, dt0, cheat=True)
            if self.p.cheat_on_open:
                for strategy in runstrats:
                    strategy._oncepost_open()
                    if self._event_stop:
                        return
            self._brokernotify()
            if self._event_stop:
                return
            self._check_timers(runstrats, dt0, cheat=False)
            for strategy in runstrats:
                strategy._oncepost(dt0)
                if self._event_stop:
                    return
                self._next_writers(runstrats)

    def _go_fast(self, runstrats: Any) -> bool:
        """True if the fast loop has run all bars. Else all is ready for backtrader's."""
        from .fast import loop, proof

        reason = "it was asked for" if self.p.engine == "stock" else proof.why_not(self, runstrats)
        if not reason:
            reason = loop.drive(self, runstrats)
            if reason == loop.DONE:
                self.engine = "fast"
                return True
        else:
            for strategy in runstrats:
                strategy._once()
                strategy.reset()
            self._hold(runstrats)
        self._fall_back(reason)
        return False

    def _fall_back(self, reason: str) -> None:
        """backtrader's own loop runs the bars, or what is left of them."""
        self.why_stock = reason
        if self.p.engine == "stock":
            return
        if self.p.engine == "fast":
            raise ConfigError(f"this run cannot take the fast loop: {reason}; engine: auto takes backtrader's then")
        log.info("backtrader's own loop runs this backtest", reason=reason)

    def _one_by_one(self, runstrats: Any) -> None:
        """backtrader's loop, with the broker's turn before preloaded lines move, and without its crash
        when only resampled data delivers (https://github.com/mementum/backtrader/pull/439)."""
        self._hold(runstrats)
        datas = sorted(self.datas, key=lambda data: (data._timeframe, data._compression))
        only_resampled = {i for i, data in enumerate(datas) if data.resampling and not data.replaying}
        streaming = any(_streams(data) for data in datas)
        dt0 = float("inf")
        state: bool | None = True
        while state is not False:
            self._storenotify()
            self._datanotify()
            if self._event_stop:
                return
            ahead = min((data.advance_peek() for data in datas), default=float("inf"))
            if ahead != float("inf"):
                self._play(ahead)
            delivered = self._poll(datas)
            state = _any(delivered)
            bars = bool(state)
            if state:
                dt0 = self._align(datas, delivered, only_resampled)
            elif state is None:
                for data in datas:
                    data._check()
            else:
                bars = self._last_bars(datas)
                if bars:
                    state = True
            self._datanotify()
            if self._event_stop:
                return
            if state is False:
                self._clock_timers(runstrats)  # those of the close, with which the run ends
                self._deliver()
                break
            if bars:
                self._check_timers(runstrats, dt0, cheat=True)
                if self.p.cheat_on_open:
                    for strategy in runstrats:
                        strategy._next_open()
            self._brokernotify()
            if self._event_stop:
                return
            if bars:
                self._check_timers(runstrats, dt0, cheat=False)
                for strategy in runstrats:
                    strategy._next()
                    if self._event_stop:
                        return
                    self._next_writers(runstrats)
            else:
                self._clock_timers(runstrats)
            if streaming:
                forget(self._broker, runstrats)
        self._datanotify()
        self._storenotify()

    def _poll(self, datas: Sequence[Any]) -> list[bool | None]:
        """Ask each data for a bar. None of ours waits here: the store has waited for all of them."""
        if all(isinstance(data, KiteData) and data.nothing_new for data in datas):
            return [None] * len(datas)
        live = sum(data._laststatus == data.LIVE for data in datas)
        wait = not any(data.haslivedata() for data in datas) and live in (0, len(datas))
        delivered = []
        for data in datas:
            data.do_qcheck(wait, 0.0)
            delivered.append(data.next(ticks=False))
        return delivered

    def _align(self, datas: Sequence[Any], delivered: list[bool | None], resampled: set[int]) -> float:
        """Only bars of the earliest time are delivered in this turn; the others wait."""
        stamps = [data.datetime[0] if there else None for data, there in zip(datas, delivered, strict=True)]
        known = [(i, stamp) for i, stamp in enumerate(stamps) if stamp is not None]
        base = [stamp for i, stamp in known if i not in resampled] or [stamp for _, stamp in known]
        dt0: float = min(base)
        master = datas[stamps.index(dt0)]
        self._dtmaster = master.num2date(dt0)
        self._udtmaster = bt.num2date(dt0)
        for i, data in enumerate(datas):
            if stamps[i] is None:
                data._check(forcedata=master)
                if data.next(datamaster=master, ticks=False):
                    stamps[i] = data.datetime[0]
        for data, stamp in zip(datas, stamps, strict=True):
            if stamp is None:
                continue
            if stamp > dt0:
                data.rewind()
            elif not data.replaying:
                data._tick_fill(force=True)
        return dt0

    def _last_bars(self, datas: Sequence[Any]) -> bool:
        """What filters still hold when all data has ended."""
        last = bool(datas[0]._last())
        for data in datas[1:]:
            last = bool(data._last(datamaster=datas[0])) or last
        return last


def _streams(data: Any) -> bool:
    return bool(getattr(data, "is_stream", False))


def _too_few(strategy: Any) -> bool:
    """Whether some data has fewer bars than the indicators on it need."""
    wanted = zip(strategy._minperiods, strategy.datas, strict=False)
    return any(period > max(1, data.buflen()) for period, data in wanted)


def _any(delivered: Sequence[bool | None]) -> bool | None:
    """True if some data gave a bar, None if some may yet, False if all are over."""
    if any(delivered):
        return True
    return None if any(there is None for there in delivered) else False
