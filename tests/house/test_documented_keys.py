"""Every key is in config.yaml under a comment, in env.example and in docs/configuration.md; nothing else is.

The lists are read from the files by plain means, so that a fault of the printing shows too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from btkite.cli import reference
from btkite.config import Config
from btkite.settings.reading import ALIASES

REPOSITORY = Path(__file__).parents[2]
REWRITE = "out of date: run `python -m btkite.cli.reference` in the repository"


def fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from fields(info.annotation, f"{above}{name}.")
        else:
            yield f"{above}{name}", info


def flat(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


KEYS = dict(fields(Config))


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


BY_SECTION = {"risk": "build_rules(settings.risk.model_dump())"}
"""Sections that are read whole: no key of them is named by whom it concerns, but each is a rule or refused."""


def read(key: str, sources: list[str]) -> bool:
    """Whether code names it: as ``section.key`` (the section may have another name there) or by its dotted key."""
    section, _, name = key.rpartition(".")
    whole = BY_SECTION.get(section)
    if whole is not None and any(whole in source for source in sources):
        return True
    found = re.compile(rf"\.{name}\b(?!\s*=[^=])|[\"']{re.escape(key)}[\"']")
    return any(found.search(source) for source in sources)


def test_every_key_is_read_by_the_code() -> None:
    """A key that nothing reads is a promise that nobody keeps."""
    folder = REPOSITORY / "btkite"
    sources = [
        bare(file.read_text(encoding="utf-8"))
        for file in folder.rglob("*.py")
        if "settings" not in file.relative_to(folder).parts
    ]
    assert not read("broker.read_by_nobody", sources)
    assert [key for key in KEYS if not read(key, sources)] == []


def bare(source: str) -> str:
    """Code without its docstrings and comments, in which a key may be named that nobody reads."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    return ast.unparse(tree)


def test_every_key_has_a_sentence_that_says_what_it_means() -> None:
    poor = [key for key, info in KEYS.items() if len(info.description or "") < 20]
    assert poor == []
    assert len(KEYS) > 50


def test_config_yaml_holds_every_key_and_no_other() -> None:
    assert list(flat(yaml.safe_load(text("config.yaml")))) == list(KEYS)


def test_every_line_of_config_yaml_that_holds_a_key_stands_under_a_comment() -> None:
    lines = text("config.yaml").splitlines()
    bare = [
        line for above, line in pairwise(lines) if re.match(r"\s*\w+:", line) and not above.lstrip().startswith("#")
    ]
    assert bare == []


def test_env_example_holds_the_variable_of_every_key_and_no_other() -> None:
    shown = re.findall(r"^([A-Z][A-Z0-9_]*)=$", text("env.example"), re.MULTILINE)
    short = {key: name for name, key in ALIASES.items()}
    wanted = {short.get(key, "BTKITE_" + key.upper().replace(".", "__")) for key in KEYS} | {
        "BTKITE_CONFIG",
        "BTKITE_KEYRING",
    }
    assert sorted(shown) == sorted(wanted)


def test_env_example_holds_every_variable_that_the_code_reads() -> None:
    named = {
        name
        for file in (REPOSITORY / "btkite").rglob("*.py")
        for name in re.findall(r"""["'`]((?:BTKITE|KITE)_[A-Z][A-Z0-9_]*)["'`]""", file.read_text(encoding="utf-8"))
    }
    assert named >= {"BTKITE_CONFIG", "BTKITE_KEYRING", "KITE_API_KEY"}
    assert sorted(name for name in named if f"\n{name}=\n" not in text("env.example")) == []


def test_env_example_gives_no_variable_a_value() -> None:
    given = [line for line in text("env.example").splitlines() if re.match(r"\w+=.+", line)]
    assert given == []


def test_the_docs_have_a_row_for_every_key_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_.0-9]+)`.*? \| `.*?` \| .+ \| .+ \|$", text("docs/configuration.md"), re.MULTILINE)
    assert rows == list(section_by_section())


def section_by_section() -> Iterator[str]:
    """The keys in the order of the tables: a section's own before those of the sections in it."""
    sections: dict[str, list[str]] = {}
    for key in KEYS:
        sections.setdefault(key.rpartition(".")[0], []).append(key)
    for _, keys in sorted(sections.items(), key=lambda item: (list(Config.model_fields).index(item[0].split(".")[0]),)):
        yield from keys


@pytest.mark.parametrize("name", ["config.yaml", "env.example", "docs/configuration.md"])
def test_the_printed_files_say_what_the_code_says(name: str) -> None:
    assert text(name) == reference.files(REPOSITORY)[REPOSITORY / name], REWRITE
