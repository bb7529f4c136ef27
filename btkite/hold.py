"""Hold: what a strategy's ``next()`` waits for.

For the end of the warm-up of every feed, and, as in backtrader, for a bar of every feed. On a market that runs by
itself one symbol that does not trade would hold all the others, for hours: there, ``next()`` goes on without it
after ``data.patience`` (its ``len`` is 0 then). Of a market in lock step and of history what comes is known, and
backtrader's own rule holds.
"""

from __future__ import annotations

from typing import Any

from .linetime import seconds_of


class Hold:
    """Stands in for one strategy's ``_getminperstatus``: while its feeds warm up, for slots, which ``next()``
    does not wait for (its ``len`` says whether a slot has bars), and for feeds that stay silent."""

    def __init__(self, strategy: Any, hold: bool) -> None:
        self._strategy = strategy
        ours = [data for data in strategy.datas if hasattr(data, "live_from")]
        self._slots = {id(data) for data in ours if data.may_be_empty}
        self._feeds = [data for data in ours if hold and not data.may_be_empty]
        self._patient = [data for data in self._feeds if data.patience is not None]
        self.needed = bool(self._feeds or self._slots)
        self._released = False
        self._since: int | None = None  # when the first feed had a bar to trade

    def warming(self) -> bool:
        """Whether some feed still delivers bars from before the start."""
        if self._released:
            return False
        for feed in self._feeds:
            if id(feed) in self._slots:
                continue
            if feed.live_from is None or (len(feed) and seconds_of(feed.datetime[0]) <= feed.live_from):
                return True
        return False

    def catching_up(self) -> bool:
        """Whether bars from before the start are still to come. Once they have, what goes by the clock need not wait
        for the first bar to trade, which may be an hour away."""
        return not self._released and any(feed.live_from is None for feed in self._feeds if id(feed) not in self._slots)

    def __call__(self) -> int:
        strategy = self._strategy
        if self._patient and not self._released:
            self._lose_patience()
        status: int = max(
            (
                period - len(data)
                for period, data in zip(strategy._minperiods, strategy.datas, strict=False)
                if id(data) not in self._slots
            ),
            default=1,
        )
        if not self._released:
            if self.warming():
                status = max(status, 1)
            elif status <= 0:
                status, self._released = 0, True
        strategy._minperstatus = status
        return status

    def _lose_patience(self) -> None:
        """Feeds that have said nothing while others had bars to trade are from now on waited for no more."""
        silent = [feed for feed in self._patient if not _trades(feed)]
        if not silent or len(silent) == len(self._patient):
            return
        now = max(seconds_of(feed.datetime[0]) for feed in self._patient if _trades(feed))
        self._since = now if self._since is None else self._since
        for feed in silent:
            if feed.failing or now - self._since >= feed.patience:
                self._slots.add(id(feed))
                feed.say_silent()
        self._patient = [feed for feed in self._patient if id(feed) not in self._slots]


def _trades(feed: Any) -> bool:
    """Whether it has a bar from after the start."""
    return bool(feed.live_from is not None and len(feed) and seconds_of(feed.datetime[0]) > feed.live_from)
