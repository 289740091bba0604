"""What the client secrets in use mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provisioning.doctor import client_secret
from provisioning.doctor.runner import Outcome
from provisioning.entra import token_check
from provisioning.entra.token_check import BLOCKED, Answer, Verdict
from tests.provisioning.status.test_compare import ONE

NOW = datetime(2027, 2, 1, tzinfo=UTC)
(SECRET,) = ONE.secrets


def test_secrets_that_work() -> None:
    later = replace(SECRET, ends=datetime(2027, 9, 1, tzinfo=UTC))
    found = client_secret.check_secrets([(SECRET, None), (later, None)], None, NOW)
    assert (found.outcome, found.said) == (
        Outcome.OK,
        "the token endpoint accepts slot a, until 2027-06-30, 149 days; "
        "the token endpoint accepts slot a, until 2027-09-01, 212 days",
    )


def test_a_secret_that_is_not_accepted() -> None:
    refusal = Answer(Verdict.REJECTED, "AADSTS7000222: Client secret has expired", "pulumi up")
    found = client_secret.check_secrets([(SECRET, refusal)], None, NOW)
    assert (found.outcome, found.remedy) == (Outcome.FAILED, "pulumi up")
    assert "slot a (AADSTS7000222: Client secret has expired)" in found.said
    assert client_secret.check_secrets([], None, NOW).outcome is Outcome.FAILED


def test_a_secret_that_is_accepted_without_a_token() -> None:
    answer = Answer(Verdict.NO_TOKEN, f"{BLOCKED} (AADSTS53003)", "Look at the policies.")
    found = client_secret.check_secrets([(SECRET, answer)], None, NOW)
    assert (found.outcome, found.remedy) == (Outcome.WARNING, "Look at the policies.")
    assert found.said == (
        "the token endpoint accepts slot a, until 2027-06-30, 149 days; but it issues no token: conditional access for "
        "workload identities blocks the application's own sign-in, not its users' (AADSTS53003)"
    )


def test_a_token_endpoint_that_gives_no_answer_is_no_rejection() -> None:
    silence = Answer(Verdict.BUSY, "no answer", token_check.NETWORK)
    found = client_secret.check_secrets([(SECRET, Answer(Verdict.TOKEN)), (SECRET, silence)], None, NOW)
    assert (found.outcome, found.remedy) == (Outcome.WARNING, token_check.NETWORK)
    assert found.said == (
        "the token endpoint accepts slot a, until 2027-06-30, 149 days; "
        "the token endpoint could not be asked about slot a (no answer), until 2027-06-30, 149 days"
    )
    refusal = Answer(Verdict.REJECTED, "AADSTS7000222: Client secret has expired", "pulumi up")
    found = client_secret.check_secrets([(SECRET, silence), (SECRET, refusal)], None, NOW)
    assert (found.outcome, found.remedy) == (Outcome.FAILED, "pulumi up")


@pytest.mark.parametrize(
    ("today", "outcome", "said"),
    [
        ("2027-03-31", Outcome.OK, "until 2027-06-30"),
        ("2027-04-01", Outcome.WARNING, "a new one is due since 2027-04-01"),
        ("2027-06-29", Outcome.WARNING, "a new one is due since 2027-04-01"),
        ("2027-06-30", Outcome.FAILED, "ended on 2027-06-30"),
    ],
)
def test_the_life_of_a_secret(monkeypatch: pytest.MonkeyPatch, today: str, outcome: Outcome, said: str) -> None:
    asked: list[tuple[str, str, str]] = []
    monkeypatch.setattr(token_check, "ask", lambda *given: asked.append(given))
    assert ONE.application is not None
    found = client_secret.ask_secrets(ONE, ONE.application, datetime.fromisoformat(f"{today}T00:00:00Z"))
    assert found.outcome is outcome
    assert said in found.said
    # A secret that has ended is not asked about.
    assert asked == [(ONE.tenant_id, ONE.application.client_id, "value-a")] * (outcome is not Outcome.FAILED)


def test_without_the_passphrase_it_is_skipped() -> None:
    assert ONE.application is not None
    hidden = replace(ONE, secrets=(replace(SECRET, value=None),), pushes=(replace(ONE.pushes[0], client_secret=None),))
    found = client_secret.ask_secrets(hidden, ONE.application, NOW)
    assert (found.outcome, "'secrets provider'" in found.said) == (Outcome.SKIPPED, True)
