"""``btkite exchange conformance``, as a person calls it."""

from __future__ import annotations

import json

import pytest

from btkite.cli.app import main
from btkite.cli.conformance import _LACKS
from btkite.conformance import LACKS, Shapes
from btkite.exchange import Exchange
from btkite.exchange.showcase import showcase


def test_it_names_every_sample_and_ends_with_the_sum(capsys):
    assert main(["exchange", "conformance"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = {line.split()[0] for line in lines}
    assert set(Shapes().files) <= named
    assert lines[-1].endswith("as Kite's, 100 %, 1 not tried")
    assert any(
        line.split()[:2] == ["postback.json", "fits"] and line.endswith("POST to the app's address") for line in lines
    )


def test_another_server_is_judged_by_its_root_and_what_it_lacks_is_said(capsys, monkeypatch):
    with Exchange(showcase()) as exchange:
        monkeypatch.setenv("KITE_API_KEY", exchange.settings.api_key)
        monkeypatch.setenv("KITE_ACCESS_TOKEN", exchange.issue_token())
        given = ["--lacks", "mf,alerts,gtt,margins,amo,full_profile", "--json", "--index", "NSE:NIFTY 50"]
        assert main(["exchange", "conformance", "--root", exchange.url, *given]) == 0
    findings = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert findings["an index in quote mode"]["verdict"] == "fits"
    assert findings["a currency contract in full mode"]["verdict"] == "not tried"
    assert findings["mf_orders.json"]["verdict"] == "not tried"
    assert findings["generate_session.json"]["deviations"] == ["this server is known to lack login"]
    assert findings["orders.json"] == {
        "name": "orders.json",
        "asked": "GET /orders",
        "verdict": "fits",
        "deviations": [],
    }


def test_a_deviation_is_told_and_the_exit_code_is_one(capsys):
    with Exchange(showcase()) as exchange:
        given = ["--root", exchange.url, "--api-key", exchange.settings.api_key]
        given += ["--access-token", exchange.issue_token(), "-s", "NFO:NIFTY26DECFUT"]
        assert main(["exchange", "conformance", *given]) == 1
    out = capsys.readouterr().out
    assert "order_response.json" in out
    assert "not answered" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--root", "https://api.kite.trade"], "api.kite.trade is Kite itself"),
        (["--root", "127.0.0.1:80"], "--root wants an address"),
        (["--root", "http://127.0.0.1:9"], "with it --api-key and --access-token"),
        (["--lacks", "gtt,wings"], "not wings"),
        (["--root", "http://127.0.0.1:9", "--api-key", "a", "--access-token", "b", "--postback", "8123"], "HOST:PORT"),
        (
            ["--root", "http://127.0.0.1:9", "--api-key", "a", "--access-token", "b", "--postback", "192.0.2.1:1"],
            "--postback 192.0.2.1:1: nobody can listen there",
        ),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(capsys, monkeypatch, given, said):
    monkeypatch.delenv("KITE_API_KEY", raising=False)
    monkeypatch.delenv("KITE_ACCESS_TOKEN", raising=False)
    assert main(["exchange", "conformance", *given]) == 2
    assert said in capsys.readouterr().err


def test_a_server_that_is_not_there_is_one_sentence(capsys):
    given = ["--root", "http://127.0.0.1:9", "--api-key", "a", "--access-token", "b"]
    assert main(["exchange", "conformance", *given]) == 1
    assert "http://127.0.0.1:9 cannot be judged: Cannot connect" in capsys.readouterr().err


def test_the_command_names_all_that_a_server_may_lack():
    assert list(_LACKS) == list(LACKS)
