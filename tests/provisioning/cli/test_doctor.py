"""`doctor`: how answers are printed, counted and turned into an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner, Result

from provisioning.cli import app
from provisioning.doctor import network
from provisioning.doctor import questions as checks
from provisioning.doctor.runner import Question, failed, ok, warning

WELL = Question("engine", lambda: ok("Pulumi 3"))
WARNS = Question("API key", lambda: warning("ends in 3 days", "Make a new one."))
FAILS = Question("sign-in", lambda: failed("AADSTS50076: Second factor needed", "az login"))
NEEDS = Question("owner", lambda _: ok(""), ("sign-in",))
NEEDS_TOO = Question("permissions", lambda _: ok(""), ("sign-in",))


def doctor(monkeypatch: pytest.MonkeyPatch, questions: Sequence[Question], *arguments: str) -> Result:
    monkeypatch.setattr(checks, "questions", lambda *_: questions)
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_lines_remedies_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    said = doctor(monkeypatch, [WELL, FAILS, NEEDS, WARNS, NEEDS_TOO])
    assert said.exit_code == 1
    assert said.stdout.splitlines() == [
        "OK       engine       Pulumi 3",
        "failed   sign-in      AADSTS50076: Second factor needed",
        "         → az login",
        "warning  API key      ends in 3 days",
        "         → Make a new one.",
        "skipped  because 'sign-in' failed: owner, permissions",
    ]
    assert said.stderr.splitlines() == [
        "1 OK, 1 warning, 1 failed, 2 skipped.",
        "! Failed: sign-in. What to do is below each.",
    ]


def test_warnings_alone_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    said = doctor(monkeypatch, [WELL, WARNS, Question("policy", lambda: warning("unread", "Grant it."))])
    assert (said.exit_code, said.stderr) == (0, "1 OK, 2 warnings.\n")


def test_a_remedy_is_for_the_stack_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    consent = Question("consent", lambda: warning("by nobody", "Or: pulumi config set consent tenant, then pulumi up."))
    said = doctor(monkeypatch, [consent], "--stack", "prod")
    remedy = "→ Or: pulumi config set --stack prod consent tenant, then pulumi up --stack prod."
    assert said.stdout.splitlines()[1].strip() == remedy


def test_json_and_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = doctor(monkeypatch, [WELL, FAILS], "--format", "json")
    assert said.exit_code == 1
    assert [(row["name"], row["outcome"], row["remedy"]) for row in json.loads(said.stdout)] == [
        ("engine", "OK", None),
        ("sign-in", "failed", "az login"),
    ]
    said = doctor(monkeypatch, [WELL, FAILS], "--format", "markdown")
    assert said.stdout.splitlines()[3] == "| sign-in | failed | AADSTS50076: Second factor needed | az login |"


def test_the_network_alone_asks_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []

    def reach_all(addresses: dict[str, str], _: float) -> list[network.Reach]:
        asked.append(addresses)
        return [network.Reach("imap", False, "imap.example.com:993: refused", "Let it pass.")]

    monkeypatch.setattr(network, "reach_all", reach_all)
    said = doctor(monkeypatch, [FAILS], "--network-only", "--endpoint", "imap=imap.example.com:993")
    assert said.exit_code == 1
    assert asked == [{**network.ENDPOINTS, "imap": "imap.example.com:993"}]
    assert said.stdout == "failed   imap  imap.example.com:993: refused\n         → Let it pass.\n"
    assert "python3 - < " in said.stderr


@pytest.mark.parametrize("arguments", [["--endpoint", "pop=x:1"], ["--endpoint", "imap"], ["--format", "xml"]])
def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert doctor(monkeypatch, [WELL], *arguments).exit_code == 2


def test_what_only_personal_mailboxes_need_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = network.Reach("smtp-outlook", False, "smtp-mail.outlook.com:587: refused", "Let it pass.")
    monkeypatch.setattr(network, "reach_all", lambda *_: [refused])
    said = doctor(monkeypatch, [FAILS], "--network-only")
    assert (said.exit_code, said.stdout.split()[0]) == (0, "warning")


@pytest.mark.parametrize("missing", ["imap", "smtp", "smtp-outlook"])
def test_mail_that_only_the_server_has_to_reach_is_a_warning_here(missing: str) -> None:
    found = checks.check_reach(network.Reach(missing, False, "refused", "Let it pass."))
    assert found.outcome == "warning"
    assert "ssh <NocoBase's server> python3 - < " in str(found.remedy)
    assert checks.check_reach(network.Reach("graph", False, "refused", "Let it pass.")).outcome == "failed"
