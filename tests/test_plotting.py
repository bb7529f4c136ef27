"""Charts without a screen, in processes of their own: what backtrader imports is decided once a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

RUN = """
import sys
import backtrader as bt, btkite
from btkite.testing import bars, run_strategy

class Crosses(bt.Strategy):
    def __init__(self):
        self.average = bt.ind.SMA(period=5)
    def next(self):
        if len(self) == 6:
            self.buy()
        if len(self) == 20:
            self.close()

def ran(cerebro):
    for observer in (bt.observers.Broker, bt.observers.Trades, bt.observers.BuySell):
        cerebro.addobserver(observer)
    run_strategy(Crosses, {"NSE:AAA": bars("peak", count=40), "NSE:BBB": bars("uptrend", count=40)}, cerebro=cerebro)
    return cerebro

def save(cerebro, **more):
    figures = cerebro.plot(**more)
    figures[0][0].savefig(sys.argv[1])
    print(type(figures[0][0].canvas).__name__)
"""


def python(tmp_path, code: str, **environment: str) -> str:
    image = tmp_path / "chart.png"
    hidden = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    }
    ran = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:matplotlib", "-c", RUN + code, str(image)],
        capture_output=True,
        text=True,
        timeout=110,
        env={**hidden, **environment},
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert image.stat().st_size > 10_000
    assert image.read_bytes().startswith(b"\x89PNG")
    return ran.stdout.strip()


@pytest.mark.parametrize("style", ["line", "candle", "bar"])
def test_our_cerebro_plots_without_a_screen(tmp_path, style):
    assert python(tmp_path, f"save(ran(btkite.Cerebro(stdstats=False)), style={style!r})") == "FigureCanvasAgg"


def test_a_stock_cerebro_plots_without_a_screen_once_it_is_made_ready(tmp_path):
    code = "import btkite.plotting\nbtkite.plotting.ready()\nsave(ran(bt.Cerebro(stdstats=False)))"
    assert python(tmp_path, code) == "FigureCanvasAgg"


def test_it_is_cured_although_backtrader_was_first(tmp_path):
    assert python(tmp_path, "import backtrader.plot\nsave(ran(btkite.Cerebro(stdstats=False)))") == "FigureCanvasAgg"


def test_the_backend_that_a_user_chose_stays(tmp_path):
    code = "import matplotlib\nmatplotlib.use('svg')\nc = ran(btkite.Cerebro(stdstats=False))\nfigures = c.plot()\n"
    code += "print(type(figures[0][0].canvas).__name__)\nfigures[0][0].savefig(sys.argv[1])"
    assert python(tmp_path, code) == "FigureCanvasSVG"
    code = "c = ran(btkite.Cerebro(stdstats=False))\nprint(type(c.plot()[0][0].canvas).__name__)\n"
    code += "import matplotlib.pyplot as plt\nplt.gcf().savefig(sys.argv[1])"
    assert python(tmp_path, code, MPLBACKEND="pdf") == "FigureCanvasPdf"
