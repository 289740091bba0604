"""What an administrator consented to before is taken over, and is asked for once only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.entra.registration import Grant
from provisioning.entra.scopes import DEFAULT_SCOPES
from provisioning.errors import ConsentExists
from provisioning.program import validation
from provisioning.program.last_state import Deployed
from provisioning.program.prepare import plan_consent
from provisioning.program.run import TakenOver
from tests.provisioning.program.test_owners import deployed

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

CONSENTED = Grant("graph", frozenset(DEFAULT_SCOPES), everybody=True, id="x")


def consent_planned(found: Grant | None, last: Deployed, monkeypatch: pytest.MonkeyPatch, consent: str) -> object:
    """The plan, and what Entra ID was asked."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    asked: list[str] = []

    def answer(principal: str) -> Grant | None:
        asked.append(principal)
        return found

    monkeypatch.setattr(directory, "tenant_consent", answer)
    values = {"nocobaseUrl": "https://nocobase.example.com", "consent": consent, "nocobaseApiKey": "key"}
    return plan_consent(validation.load(values, {"nocobaseApiKey"})[0], last), asked


@pytest.mark.parametrize(
    ("found", "consent", "taken_over"),
    [
        (CONSENTED, "tenant", TakenOver("/oauth2PermissionGrants/x", new=True)),
        (None, "tenant", None),
        (CONSENTED, "user", None),
    ],
)
def test_an_administrators_consent_is_taken_over_when_the_stack_declares_one(
    monkeypatch: pytest.MonkeyPatch, found: Grant | None, consent: str, taken_over: TakenOver | None
) -> None:
    asked = ["principal"] if consent == "tenant" else []
    assert consent_planned(found, deployed(["me"], ["me"]), monkeypatch, consent) == (taken_over, asked)


def test_entra_id_is_asked_for_a_consent_once_only(monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(deployed(["me"], ["me"]), consent="/oauth2PermissionGrants/x")
    assert consent_planned(CONSENTED, known, monkeypatch, "tenant") == (None, [])
    known = replace(known, consent_taken_over=True)
    kept = TakenOver("/oauth2PermissionGrants/x", new=False)
    assert consent_planned(CONSENTED, known, monkeypatch, "tenant") == (kept, [])
    assert consent_planned(CONSENTED, deployed(["me"], None), monkeypatch, "tenant") == (None, [])


def test_a_consent_to_other_scopes_ends_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(CONSENTED, scopes=frozenset({"email"}))
    with pytest.raises(ConsentExists, match="consented to this application already"):
        consent_planned(other, deployed(["me"], ["me"]), monkeypatch, "tenant")
