"""The map of a sweep: what is in a cell, and files that open."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from btkite.errors import ConfigError
from btkite.sweeps.drawing import map_of
from tests.sweeps.scene import swept

pytestmark = pytest.mark.usefixtures("config")


def test_a_cell_is_the_best_of_all_sets_with_its_two_values(tmp_path: Path) -> None:
    result = swept({"fast": "2..4", "slow": [6, 9], "stop": "0,0.005"}, metric="return_percent")
    found = map_of(result)
    assert (found.x, found.y) == ("fast", "slow")
    assert (found.columns, found.lines) == (("2", "3", "4"), ("6", "9"))
    assert found.title == "Return (%) of Mine, the best over stop"
    for line, slow in zip(found.cells, (6, 9), strict=True):
        for cell, fast in zip(line, (2, 3, 4), strict=True):
            rows = [row for row in result.found if row["params"]["fast"] == fast and row["params"]["slow"] == slow]
            assert cell == max(row["stats"]["return_percent"] for row in rows)
    least = swept({"fast": "2..4", "slow": [6, 9], "stop": "0,0.005"}, metric="max_drawdown_percent")
    rows = [row for row in least.found if row["params"]["fast"] == 2 and row["params"]["slow"] == 6]
    assert map_of(least).cells[0][0] == min(row["stats"]["max_drawdown_percent"] for row in rows)
    assert map_of(result, x="stop", y="fast").columns == ("0.0", "0.005")
    assert result.heatmap(tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    page = result.heatmap(tmp_path / "map.html", x="slow", y="stop").read_text(encoding="utf-8")
    drawn = json.loads(re.findall(r'id="figure">(.*)</script>', page)[0])
    assert drawn["data"][0]["x"] == ["6", "9"]
    assert (tmp_path / "plotly.min.js").is_file()


def test_one_dimension_and_free_ones_are_drawn_too(tmp_path: Path) -> None:
    line = swept({"fast": "2..4", "mood": ["calm"]})
    assert map_of(line).lines == ("calm",)
    alone = swept({"fast": "2..4"})
    assert (map_of(alone).y, map_of(alone).lines) == ("", ("",))
    free = swept({"stop": "0.001..0.02", "fast": "2..4"}, search="random", trials=5)
    assert len(map_of(free).points) == 5
    for number, one in enumerate((line, alone, free)):
        assert one.heatmap(tmp_path / f"{number}.png").stat().st_size > 5_000


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    result = swept({"fast": "2..4"})
    with pytest.raises(ConfigError, match="slow was not varied: draw two of fast"):
        result.heatmap(tmp_path / "map.png", x="slow")
    with pytest.raises(ConfigError, match=r"map.jpg is no picture: name it .png or .html"):
        result.heatmap(tmp_path / "map.jpg")
