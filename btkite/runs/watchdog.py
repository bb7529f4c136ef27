"""The watchdog of a run: a thread beside Cerebro's, for what must be done although a strategy hangs.

It takes the signals of the kill switch, and sees whether Cerebro's thread still turns. A run that hangs while the
switch is engaged can neither cancel nor close. Two ways of trading one account at a time are one too many, so nothing
is sent from here: the process gives itself up. Its program is replaced (``exec``), in one instant and under the same
process id, by one that takes the account's lock, learns from journal and order book what is open, as after every crash,
and winds that down (:mod:`btkite.runs.takeover`). What hung is gone before the first byte of it.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..clock import SystemClock
from ..log import get_logger
from ..risk.gate import KillSwitch
from ..watch.places import Place

if TYPE_CHECKING:
    from .plan import Run

log = get_logger(__name__)
_LOOK = 0.2
"""Real seconds between two looks."""
HANGS = 15
"""Looks, three seconds, without a turn of Cerebro's thread: then it hangs, if somebody needs it."""
_BEGINS = 150
"""As many while it has not turned yet: it connects."""
SIGNALS: Mapping[str, bool] = {"SIGUSR1": False, "SIGUSR2": True}
"""What engages the kill switch, and whether what is held is closed, too. (Windows has no such signals.)"""


@contextmanager
def watched(plan: Run, store: Any) -> Iterator[None]:
    """While a run of an account goes on."""
    dog = Watchdog(plan, store)
    with _signalled(dog):
        thread = threading.Thread(target=dog.watch, name="btkite-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            dog.stop()
            thread.join()


@contextmanager
def _signalled(dog: Watchdog) -> Iterator[None]:
    """The signals are heard by the thread, not by Python's handlers: those run on the main thread, which may hang."""
    numbers = [number for name in SIGNALS if (number := getattr(signal, name, None)) is not None]
    if not numbers or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    heard = signal.set_wakeup_fd(dog.ear, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(heard)
        for number, handler in before.items():
            signal.signal(number, handler)


class Watchdog:
    """One run's."""

    def __init__(self, plan: Run, store: Any) -> None:
        self._plan, self._store = plan, store
        self._switch = KillSwitch(plan.folder / "kill")
        self._inner, self.ear = os.pipe()
        os.set_blocking(self.ear, False)
        os.set_blocking(self._inner, False)
        self._over = threading.Event()
        self._seen, self._looks = -1, 0

    def watch(self) -> None:
        """The thread's work."""
        try:
            while not self._over.is_set():
                self._hear()
                if self.hangs() and self._switch.engaged() and self._is_to_act():
                    log.critical("the run hangs while it is to stop: the process gives itself up", turns=self._seen)
                    give_up(self._plan)
        finally:
            os.close(self._inner)
            os.close(self.ear)

    def stop(self) -> None:
        """The run is over."""
        self._over.set()
        with suppress(OSError):
            os.write(self.ear, b"\0")

    def hangs(self) -> bool:
        """Whether Cerebro's thread has not turned for so many looks. (Looks, not seconds: a process that was stopped
        and goes on is none that hangs.)"""
        turns = self._store.turns
        self._looks = self._looks + 1 if turns == self._seen else 0
        self._seen = turns
        return self._looks >= (HANGS if turns else _BEGINS)

    def _is_to_act(self) -> bool:
        """Whether there is anything that outlives the process: on paper, in lock step, and on an exchange of our own
        there is not."""
        return self._plan.mode.arm and not self._plan.starts_exchange and not self._store.clock.complete

    def _hear(self) -> None:
        """Signals, until the next look is due."""
        ready, _, _ = select.select([self._inner], [], [], _LOOK)
        if not ready:
            return
        said = set(os.read(self._inner, 64))
        for name, flatten in SIGNALS.items():
            if getattr(signal, name, None) in said:
                self._switch.engage(name, SystemClock().now(), flatten=flatten)


def give_up(plan: Run) -> None:
    """Become the program that winds the account down. What it must know, secrets too, goes through a pipe and touches
    no disk, no command line and no environment."""
    place = Place(plan.account, plan.mode.name, plan.endpoint, plan.folder)
    word = pickle.dumps((plan.config, place, plan.confirm))
    out, into = os.pipe()
    os.set_blocking(into, False)
    if os.write(into, word) != len(word):
        raise OSError(f"{len(word)} bytes of configuration do not fit into a pipe")
    os.close(into)
    os.set_inheritable(out, True)
    if hasattr(signal, "pthread_sigmask"):  # a signal would end the new program before it has handlers
        signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in SIGNALS])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os.execv(sys.executable, [sys.executable, "-m", "btkite.runs.takeover", str(out)])  # noqa: S606 - our own program
