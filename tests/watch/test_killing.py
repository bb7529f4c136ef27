"""What a kill says of itself: nothing is told to be done that a run has not said, of this kill and by itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from btkite.watch.killing import Killed, _answer, open_of
from btkite.watch.places import Place
from btkite.watch.reading import Standing
from btkite.watch.showing import _gate

PLACE = Place("A", "live", "kite", Path("state"))
HELD = {"orders": [{"ref": 4, "symbol": "NSE:A"}], "positions": [{"symbol": "NSE:B", "size": -5}]}


def answer(winding: Any, *, wanted: bool, pid: int = 7) -> dict[str, Any]:
    said = {"pid": pid, "winding": winding, **HELD}
    now = Standing(PLACE, "running", datetime(2026, 11, 23, 10), owner={"pid": 7}, said=said)
    return _answer(now, wanted=wanted)


def wound(*, flatten: bool, done: bool) -> dict[str, bool]:
    return {"flatten": flatten, "done": done}


@pytest.mark.parametrize("wanted", [False, True], ids=["kill", "flatten"])
def test_a_run_has_heeded_what_it_says_of_this_kill(wanted: bool) -> None:
    found = answer(wound(flatten=wanted, done=False), wanted=wanted)
    assert (found["pid"], found["heeded"], found["done"]) == (7, True, False)
    assert found["left"] == ("order 4 NSE:A", "position -5 NSE:B")
    assert answer(wound(flatten=wanted, done=True), wanted=wanted)["done"]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("wanted", [False, True], ids=["kill", "flatten"])
def test_a_word_of_another_kill_or_another_process_is_no_answer(wanted: bool, done: bool) -> None:
    none = {"pid": 7, "heeded": False, "done": False, "left": (), "stuck": (), "paused": ()}
    assert answer(None, wanted=wanted) == none
    assert answer(wound(flatten=not wanted, done=done), wanted=wanted) == none
    assert answer(wound(flatten=wanted, done=done), wanted=wanted, pid=8) == none


def test_why_entries_pause_besides_is_told_from_the_runs_own_word() -> None:
    """Who resumes would wonder why still nothing is opened, and without a session nothing can be closed either."""
    away = "the session is over: btkite login"
    word = {"winding": None, "gate": {"paused": [away, away, "no prices"]}}
    now = Standing(PLACE, "running", datetime(2026, 11, 23, 10), owner={"pid": 7}, said={"pid": 7, **word})
    assert _answer(now, wanted=False)["paused"] == (away, "no prices")
    other = Standing(PLACE, "running", datetime(2026, 11, 23, 10), owner={"pid": 7}, said={"pid": 8, **word})
    assert _answer(other, wanted=False)["paused"] == ()
    told = said(pid=7, paused=(away, "no prices"))
    assert told.endswith(f"; entries pause besides, which that does not end: {away}; no prices")


def said(left: tuple[str, ...] = (), **more: Any) -> str:
    return str(Killed(PLACE, "lunch, since 10:00", left=left, **{"flatten": False, "again": False, **more}))


def test_what_has_become_of_it_is_one_sentence() -> None:
    start, end = "the kill switch of A (live on kite)", "; until `btkite resume`, nothing is opened"
    engaged = f"{start} is engaged (lunch, since 10:00); "
    assert said() == engaged + "no process runs this account, and the next one opens nothing" + end
    assert said(pid=7) == engaged + "the run (pid 7) has not answered yet" + end
    left = ("order 4 NSE:A", "position 5 NSE:B")
    still = "the run (pid 7) is still at it: order 4 NSE:A; position 5 NSE:B"
    assert said(left, pid=7, heeded=True) == engaged + still + end
    assert said(pid=7, heeded=True, done=True) == engaged + "the run (pid 7) has cancelled what opens" + end
    kept = (
        "the run (pid 7) has cancelled what opens, and keeps what reduces: order 4 NSE:A; held still: position 5 NSE:B"
    )
    assert said(left, pid=7, heeded=True, done=True) == engaged + kept + end
    bare = "the run (pid 7) has cancelled what opens; held still, with no exit at the market: position 5 NSE:B"
    assert said(left[1:], pid=7, heeded=True, done=True) == engaged + bare + end
    flat = "the run (pid 7) has cancelled every order and closed every position"
    assert said(pid=7, heeded=True, done=True, flatten=True) == engaged + flat + end
    assert said(again=True).startswith(f"{start} was engaged already (lunch, since 10:00); nothing was changed; ")


def test_what_is_open_is_what_works_and_what_is_held() -> None:
    assert open_of({}) == ()
    assert open_of(HELD) == ("order 4 NSE:A", "position -5 NSE:B")
    book = {"orders": [{"ref": 4, "key": "NSE:A"}], "positions": {"NSE:B": {"size": 5}, "NSE:C": {"size": 0}}}
    assert open_of(book) == ("order 4 NSE:A", "position 5 NSE:B")


def test_a_kill_does_not_hide_what_else_pauses_entries() -> None:
    """Without a session nothing can be closed either: who looks at the status has to see it."""
    said = {"gate": {"state": "halted", "reason": "", "paused": ["the session is over: btkite login"], "flatten": True}}
    now = Standing(PLACE, "running", datetime(2026, 11, 23, 10), kill="enough", flatten=True, said=said)
    assert _gate(now, said["gate"]).endswith("what is held is to be closed · the session is over: btkite login")
