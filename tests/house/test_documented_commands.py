"""Every command, argument and option is in docs/cli.md, each with what it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from btkite.cli import reference
from btkite.cli.app import VERBS, app
from btkite.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "cli.md"


def walk(path: str, command: Any) -> list[tuple[str, Any]]:
    return [
        (path, command),
        *(
            found
            for name, member in getattr(command, "commands", {}).items()
            for found in walk(f"{path} {name}", member)
        ),
    ]


def command_tree() -> dict[str, Any]:
    """Every command by its path, walked here and not by what prints the document."""
    found = [("btkite", get_command(app))]
    for name, verb in VERBS.items():
        if verb.exists():
            found += walk(f"btkite {name}", verb.load(name))
    return dict(found)


def sections(document: str) -> dict[str, str]:
    found = {}
    for part in document.split("\n### `")[1:]:
        title, _, body = part.partition("`\n")
        found[title] = body
    return found


COMMANDS = command_tree()
DOCUMENTED = sections(DOCUMENT.read_text(encoding="utf-8"))


def test_the_document_has_a_section_for_every_command_and_no_other() -> None:
    assert sorted(DOCUMENTED) == sorted(COMMANDS), "run `python -m btkite.cli.reference` in the repository"
    assert "btkite config show" in COMMANDS


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_says_what_it_does(path: str) -> None:
    assert COMMANDS[path].help, f"{path} has no docstring"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_argument_and_option_of_a_command_is_in_its_section_with_a_meaning(path: str) -> None:
    rows = [line for line in DOCUMENTED.get(path, "").splitlines() if line.startswith("| `")]
    for parameter in COMMANDS[path].params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"
        names = (
            parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or parameter.name.upper()]
        )
        for name in [*names, *parameter.secondary_opts]:
            assert any(name in row.split(" | ")[0] for row in rows), f"{path}: {name} is not in docs/cli.md"


def test_the_document_says_what_the_code_says() -> None:
    wanted = reference.files(REPOSITORY)[DOCUMENT]
    assert DOCUMENT.read_text(encoding="utf-8") == wanted, "run `python -m btkite.cli.reference` in the repository"


def test_an_option_taken_out_of_the_document_is_noticed() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert "| `--origins` |" in document
    poorer = "\n".join(line for line in document.splitlines() if "`--origins`" not in line)
    assert reference.printed(poorer + "\n", reference.as_markdown()) == document


def test_a_document_without_a_place_for_the_print_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no place"):
        reference.printed("# Command line\n", "x")
