"""How data is printed: for people, for programs, for a CI summary."""

from __future__ import annotations

import json

import pytest

from provisioning.cli.common import Format, Plain, show, show_checks, show_rows
from provisioning.doctor.runner import Check, Outcome

ROWS = [{"slot": "a", "in use": True, "uris": ["x", "y|z"]}, {"slot": "b", "in use": False, "uris": []}]


def test_rows_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, Format.MARKDOWN)
    assert capsys.readouterr().out.splitlines() == [
        "| slot | in use | uris |",
        "| --- | --- | --- |",
        "| a | yes | x, y¦z |",
        "| b | no | none |",
    ]


def test_json_keeps_types(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, Format.JSON)
    assert json.loads(capsys.readouterr().out) == ROWS
    show({"days": 3, "old": None}, Format.JSON)
    assert json.loads(capsys.readouterr().out) == {"days": 3, "old": None}


def test_a_table_has_no_colour_codes_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    show({"name": "[red]x[/red]", "old": None}, Format.TABLE)
    printed = capsys.readouterr().out
    assert "[red]x[/red]" in printed
    assert "none" in printed
    assert "\x1b" not in printed


CHECKS = [
    Check("token endpoint", Outcome.OK, "accepts the secret"),
    Check("consent", Outcome.WARNING, "nobody has [consented]", "Open https://example.com."),
]


def test_checks_as_lines_with_the_remedy_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_checks(CHECKS, Format.TABLE) == 0
    assert capsys.readouterr().out.splitlines() == [
        "OK       token endpoint  accepts the secret",
        "warning  consent         nobody has [consented]",
        "         → Open https://example.com.",
    ]


def test_an_address_that_finds_no_place_beside_its_name_goes_below_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plain, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    address = "http://localhost:13000/admin/settings/mail/oauth2"
    show_checks([Check("redirect URIs", Outcome.OK, address)], Format.TABLE, widest=len("sign-in link: redirect URI"))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "OK       redirect URIs",
        f"         {address}",
    ]


def test_one_failed_check_is_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Check("redirect URI", Outcome.FAILED, "differs", "Mend it.")
    assert show_checks([*CHECKS, failed], Format.JSON) == 1
    assert json.loads(capsys.readouterr().out)[-1] == {
        "name": "redirect URI",
        "outcome": "failed",
        "said": "differs",
        "remedy": "Mend it.",
    }


def test_a_check_that_is_no_success_names_a_remedy() -> None:
    with pytest.raises(ValueError, match="names no remedy"):
        Check("x", Outcome.WARNING, "y")


def test_a_piped_table_is_as_wide_as_its_content(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show({"name": "x" * 200}, Format.TABLE)
    assert "x" * 200 in capsys.readouterr().out
