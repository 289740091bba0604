"""What a run made in Entra ID without recording it is taken over; a trust with a new name is the same trust."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pulumi_azuread as azuread
import pytest

from deployer import left_behind, settings
from deployer.federation import Trust
from deployer.left_behind import FLEXIBLE_TYPE, OWNER_TYPE, ROLE_TYPE, TRUST_TYPE, LeftBehind, renamed_trusts
from deployer.settings import CONSENT, OWN_APPLICATIONS
from provisioning.program.last_state import Resources, read_state
from provisioning.resource_types import APPLICATION_TYPE, PRINCIPAL_TYPE

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

NAME, ISSUER = "deployer", "https://oidc.example.com"
MAIL, OTHER_MAIL = "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
DECLARED = {
    "otherTrusts": json.dumps([{"name": name, "issuer": ISSUER, "subject": name} for name in ("test", "prod")]),
    "tenantConsent": "true",
    "mailApplications": json.dumps([MAIL, OTHER_MAIL]),
}
MADE: dict[tuple[str, str], dict[str, Any]] = {
    (APPLICATION_TYPE, NAME): {"objectId": "application", "clientId": "client", "displayName": "deployer"},
    (PRINCIPAL_TYPE, NAME): {"objectId": "principal"},
}
WHOLE: dict[tuple[str, str], dict[str, Any]] = {
    **MADE,
    **{(TRUST_TYPE, f"{NAME}-{name}"): {"issuer": ISSUER, "subject": name} for name in ("test", "prod")},
    **{(ROLE_TYPE, f"{NAME}-{role}"): {} for role in (OWN_APPLICATIONS, CONSENT)},
    **{(OWNER_TYPE, f"{NAME}-{one}"): {} for one in (MAIL, OTHER_MAIL)},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Entra ID holds one trust, one permission and one ownership; what it is asked for."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    questions: list[str] = []

    def answer(question: str, answers: Any) -> Any:
        def read(of: str) -> Any:
            questions.append(f"{question} {of}")
            return answers(of)

        return read

    roles = {OWN_APPLICATIONS: "role", CONSENT: "other role"}
    graph = SimpleNamespace(object_id="graph", app_role_ids=roles)
    monkeypatch.setattr(azuread, "get_service_principal", lambda client_id, opts: graph)
    reads: dict[str, Any] = {
        "federated_credentials": lambda _: {"prod": "trust", "by hand": "x"},
        "app_roles": lambda _: {("graph", "role"): "assignment", ("elsewhere", "other role"): "x"},
        "owners": lambda application: {"principal"} if application == MAIL else {"somebody"},
    }
    for name, answers in reads.items():
        monkeypatch.setattr(directory, name, answer(name, answers))
    return questions


def find(recorded: Resources) -> LeftBehind:
    return left_behind.find(settings.load(DECLARED).deployer, read_state(recorded, name=NAME), recorded)


@pytest.mark.parametrize("recorded", [{}, WHOLE])
def test_entra_is_not_asked_before_the_first_run_nor_where_nothing_is_missing(
    asked: list[str], recorded: Resources
) -> None:
    assert find(recorded) == LeftBehind()
    assert asked == []


def test_what_is_there_and_not_recorded_is_taken_over(asked: list[str]) -> None:
    assert find(MADE) == LeftBehind(
        {
            "deployer-prod": "application/federatedIdentityCredential/trust",
            f"deployer-{OWN_APPLICATIONS}": "/servicePrincipals/graph/appRoleAssignedTo/assignment",
            f"deployer-{MAIL}": f"/applications/{MAIL}/owners/principal",
        }
    )
    assert asked == [
        "federated_credentials application",
        "app_roles principal",
        f"owners {MAIL}",
        f"owners {OTHER_MAIL}",
    ]


def test_without_a_service_principal_only_trusts_can_have_been_left(asked: list[str]) -> None:
    application_only = {(APPLICATION_TYPE, NAME): MADE[APPLICATION_TYPE, NAME]}
    assert find(application_only).ids == {"deployer-prod": "application/federatedIdentityCredential/trust"}
    assert asked == ["federated_credentials application"]


def test_a_renamed_trust_is_known_by_its_issuer_and_subject(asked: list[str]) -> None:
    known = {**WHOLE, (TRUST_TYPE, f"{NAME}-old"): WHOLE[TRUST_TYPE, f"{NAME}-prod"]}
    del known[TRUST_TYPE, f"{NAME}-prod"]
    assert find(known) == LeftBehind(renamed={"deployer-prod": "deployer-old"})
    assert asked == []


def test_a_flexible_trust_is_taken_over_as_what_it_is(asked: list[str]) -> None:
    expression = "claims['sub'] matches 'repo:a/b:*' and claims['repository_id'] eq '1'"
    trust = {"name": "prod", "issuer": ISSUER, "expression": expression}
    declared = settings.load({"otherTrusts": json.dumps([trust])}).deployer
    exact = {(TRUST_TYPE, f"{NAME}-prod"): {"issuer": ISSUER, "subject": "prod"}}
    recorded = {**MADE, **exact, (ROLE_TYPE, f"{NAME}-{OWN_APPLICATIONS}"): {}}
    found = left_behind.find(declared, read_state(recorded, name=NAME), recorded)
    assert found == LeftBehind({"deployer-prod": "application/federatedIdentityCredential/trust"})
    recorded = {**recorded, (FLEXIBLE_TYPE, f"{NAME}-prod"): {"issuer": ISSUER}}
    assert left_behind.find(declared, read_state(recorded, name=NAME), recorded) == LeftBehind()


def test_a_trust_of_the_other_identity_is_not_renamed() -> None:
    recorded = {(TRUST_TYPE, "preview-gitlab-main"): {"issuer": ISSUER, "subject": "main"}}
    assert renamed_trusts(NAME, [Trust("gitlab-main", ISSUER, "main")], recorded) == {}


def test_a_trust_that_keeps_its_name_is_not_renamed() -> None:
    swapped = [Trust("test", ISSUER, "prod"), Trust("prod", ISSUER, "test"), Trust("new", ISSUER, "test")]
    assert renamed_trusts(NAME, swapped, WHOLE) == {}
