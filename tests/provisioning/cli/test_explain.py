"""`explain`: what it prints, where, and its exit code."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from provisioning.cli import app, common
from provisioning.cli import explain as explain_command
from provisioning.cli.layout import WORD
from provisioning.entra import error_codes
from tests.golden import check, on_terminal, piped

GOLDEN = Path(__file__).parent / "golden"
PASTED = "AADSTS50011: The redirect URI 'http://n.example.com' … and 535 5.7.139 SmtpClientAuthentication is disabled."


def explain(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["explain", *arguments], input=stdin)


def test_piped() -> None:
    said = piped(["explain", PASTED])
    assert said.returncode == 0
    assert said.stderr == ""
    check(GOLDEN / "explain.txt", said.stdout)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_piped_into_what_cannot_have_every_letter(encoding: str) -> None:
    said = piped(["explain", PASTED, "AADSTS700017"], extra={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert said.returncode == 1
    assert "-> Compare the address in the error" in said.stdout
    assert "AADSTS700017 is not known here" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("columns", ["80", "120"])
def test_on_a_terminal(columns: str) -> None:
    shown, code = on_terminal(["explain", PASTED], columns=columns)
    assert code == 0
    check(GOLDEN / f"explain-{columns}.txt", shown)


def test_markdown() -> None:
    check(GOLDEN / "explain.md", explain("--format", "markdown", PASTED).stdout)


def test_an_unknown_code_among_known_ones_is_told_and_is_exit_code_one() -> None:
    said = explain("AADSTS700017: …", "AADSTS7000222: …")
    assert said.exit_code == 1
    assert "AADSTS7000222  Client secret has expired" in said.stdout
    assert "AADSTS700017 is not known here. Microsoft's own page: https://login." in said.stderr
    assert "Nearest: AADSTS70001, AADSTS700016, AADSTS700027." in said.stderr


@pytest.mark.parametrize("known", ["", "AADSTS700016: …"], ids=["alone", "shown-already"])
def test_only_what_a_slip_makes_of_a_known_code_is_proposed(known: str) -> None:
    told = explain(known, "AADSTS700017: …").stderr
    assert told.startswith(f"AADSTS700017 is not known here. Microsoft's own page: {error_codes.LOOK_UP}700017\n")
    assert ("AADSTS700016" in told) is not bool(known)
    assert "Nearest" not in explain(known, "AADSTS987654: …").stderr


@pytest.mark.parametrize("output", ["table", "markdown"])
def test_a_text_without_a_code_prints_no_data(output: str) -> None:
    said = explain("--format", output, "it does not work")
    assert (said.exit_code, said.stdout) == (1, "")


def test_a_page_and_a_log_without_a_code_are_explained() -> None:
    log = "2027-04-05 ERROR mail: Error: getaddrinfo ENOTFOUND outlook.office365.com\n    at GetAddrInfoReqWrap\n"
    said = explain("-", stdin=f"Need admin\napproval\n{log}")
    assert (said.exit_code, said.stderr) == (0, "")
    check(GOLDEN / "explain-log.txt", said.stdout)


def test_a_person_is_told_how_the_text_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pasted = io.StringIO("AADSTS65001")
    monkeypatch.setattr(pasted, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", pasted)
    explain_command.explain(["-"])
    assert capsys.readouterr().err == "Paste the text; at its end press Enter, then Ctrl-D.\n"


def test_json_from_stdin() -> None:
    said = explain("--format", "json", "-", stdin="x AADSTS12345 y 7000215 z AADSTS65001")
    assert [(row["code"], row["known"]) for row in json.loads(said.stdout)] == [
        ("AADSTS12345", False),
        ("AADSTS65001", True),
    ]


def test_no_text_is_wrong_usage() -> None:
    assert explain().exit_code == 2


def test_a_closed_stdin_is_wrong_usage_and_nobody_who_could_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert not common.can_be_asked()
    with pytest.raises(typer.Exit):
        explain_command.explain(["-"])
    assert capsys.readouterr().err == "- reads the text from stdin, which is closed here.\n"


def test_on_a_narrow_terminal_no_line_is_too_long_and_no_word_or_command_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(common.Plain, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")
    known = [*error_codes.entries(), *error_codes.texts().alone, *error_codes.texts().network]
    monkeypatch.setattr(error_codes, "find_with_texts", lambda _: [error_codes.Found(one.code, one) for one in known])
    lines = re.sub("\x1b\\[[0-9;]*m", "", explain("all").stdout).splitlines()
    texts = [text for one in known for text in (one.meaning, one.remedy, one.deployer or "", one.source)]
    whole = {piece.strip() for text in texts for piece in WORD.findall(text)}
    assert [line for line in lines if len(line) > 80 and line.strip(" →") not in whole] == []
    assert [piece for piece in whole if not any(piece in line for line in lines)] == []
    assert any(re.match(" {4}[^ ]", line) for line in lines), "what follows an arrow hangs below its words"
