"""A strategy by its name, its parameters, and what a user may get wrong about them."""

from __future__ import annotations

import sys
from datetime import time
from pathlib import Path

import backtrader as bt
import pytest

from btkite.errors import ConfigError
from btkite.loading import check_params, load_strategy, parse_params

SOURCE = """
import backtrader as bt

class Buys(bt.Strategy):
    params = (("fast", 10),)

class Sells(bt.Strategy):
    pass

class NoStrategy:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "two.py").write_text(SOURCE)
    return tmp_path


class Kinds(bt.Strategy):
    params = (
        ("fast", 10),
        ("percent", 9.5),
        ("long_only", True),
        ("exit", "15:10"),
        ("at", time(9, 20)),
        ("stop", None),
    )


def test_a_class_is_taken_as_it_is() -> None:
    assert load_strategy(Kinds) is Kinds


def test_a_file_and_a_class_name_a_strategy(folder: Path) -> None:
    found = load_strategy("two.py:Buys")
    assert issubclass(found, bt.Strategy)
    assert found.__name__ == "Buys"
    assert load_strategy(f"{folder / 'two.py'}:Sells").__name__ == "Sells"


def test_a_module_and_a_class_name_a_strategy(folder: Path) -> None:
    package = folder / "my_package_of_strategies"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(SOURCE)
    assert load_strategy("my_package_of_strategies.inner:Buys").__name__ == "Buys"


def test_a_file_with_one_strategy_needs_no_class_name(folder: Path) -> None:
    (folder / "one.py").write_text("import backtrader as bt\n\nclass Only(bt.Strategy):\n    pass\n")
    assert load_strategy("one.py").__name__ == "Only"
    with pytest.raises(ConfigError, match=r"two\.py has the strategies Buys, Sells: name one, as two\.py:Buys"):
        load_strategy("two.py")


def test_a_strategy_may_import_what_lies_beside_it(folder: Path) -> None:
    (folder / "beside_the_strategy.py").write_text("SIZE = 7\n")
    (folder / "user.py").write_text(
        "import backtrader as bt\nfrom beside_the_strategy import SIZE\n\n"
        "class User(bt.Strategy):\n    params = (('size', SIZE),)\n"
    )
    assert load_strategy("user.py:User").params.size == 7


def test_a_file_named_like_a_library_does_not_replace_it(folder: Path) -> None:
    import random

    (folder / "random.py").write_text(SOURCE)
    assert load_strategy("random.py:Buys").__name__ == "Buys"
    assert sys.modules["random"] is random


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("tow.py:Buys", r"there is no strategy file tow\.py; did you mean two\.py\?"),
        ("nowhere/two.py:Buys", r"there is no strategy file nowhere/two\.py$"),
        ("two.py:Buy", r"two\.py has no class 'Buy'; did you mean Buys\?"),
        ("two.py:Quite", r"two\.py has no class 'Quite'; it has Buys, Sells"),
        ("two.py:NoStrategy", r"two\.py:NoStrategy is no strategy: a strategy is a class made from backtrader"),
        ("no_such_module:Buys", r"there is no module 'no_such_module'"),
        ("no_such.module:Buys", r"there is no module 'no_such\.module'"),
        (":Buys", r"':Buys' names no strategy"),
    ],
)
def test_a_name_that_is_wrong_is_one_sentence(folder: Path, where: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as said:
        load_strategy(where)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import nothing_of_this_name\n", r"\(line 1\): ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("x = 1\nclass S(\n    pass\n", r"\(line [23]\): SyntaxError: "),
        ("x = 1\ny = 1 / 0\n", r"\(line 2\): ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", r"\(line 1\): SystemExit: 3"),
    ],
)
def test_a_file_that_does_not_import_says_where_and_why(folder: Path, text: str, sentence: str) -> None:
    (folder / "bad.py").write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.py cannot be imported " + sentence):
        load_strategy("bad.py:S")
    assert not [name for name in sys.modules if name.startswith("btkite_strategy_bad")]


def test_a_module_whose_own_import_fails_is_not_called_missing(folder: Path) -> None:
    (folder / "half_a_module.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ConfigError, match="half_a_module cannot be imported: ModuleNotFoundError"):
        load_strategy("half_a_module:S")


def test_parameters_take_the_kind_of_their_default() -> None:
    texts = ["fast=20", "percent=5", "long_only=no", "exit=14:00", "at=10:05", "stop=2.5"]
    assert parse_params(Kinds, texts) == {
        "fast": 20,
        "percent": 5.0,
        "long_only": False,
        "exit": "14:00",
        "at": time(10, 5),
        "stop": 2.5,
    }
    assert isinstance(parse_params(Kinds, ["percent=5"])["percent"], float)
    assert parse_params(Kinds, ["fast=1e2"]) == {"fast": 100}
    assert parse_params(Kinds, ["exit=a=b"]) == {"exit": "a=b"}


@pytest.mark.parametrize(("text", "value"), [("none", None), ("3", 3), ("0.5", 0.5), ("true", True), ("abc", "abc")])
def test_a_parameter_without_a_kind_is_read_as_it_looks(text: str, value: object) -> None:
    assert parse_params(Kinds, [f"stop={text}"]) == {"stop": value}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fsat=3", r"Kinds has no parameter 'fsat'; did you mean fast\?"),
        ("zzz=3", r"Kinds has no parameter 'zzz'; it has fast, percent"),
        ("fast=ten", r"Kinds's parameter fast is a whole number \(default 10\), not 'ten'"),
        ("fast=1.5", r"is a whole number"),
        ("percent=much", r"is a number \(default 9\.5\)"),
        ("long_only=maybe", r"is true or false"),
        ("at=25:00", r"is a time of day"),
        ("fast", r"'fast' is no parameter: write name=value"),
        ("=3", r"'=3' is no parameter"),
    ],
)
def test_a_parameter_that_is_wrong_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_params(Kinds, [text])


def test_a_parameter_is_given_once() -> None:
    with pytest.raises(ConfigError, match="fast is given twice"):
        parse_params(Kinds, ["fast=1", "fast=2"])


def test_names_given_in_python_are_checked_too() -> None:
    check_params(Kinds, ["fast", "stop"])
    with pytest.raises(ConfigError, match="did you mean percent"):
        check_params(Kinds, ["precent"])
