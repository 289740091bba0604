"""What is known to differ from Entra ID and Graph, as sandbox/README.md says it."""

from __future__ import annotations

import pytest

from sandbox.entra import identity
from tests.sandbox.entra.service import Service, body_of

ME = identity.DEPLOYER_OBJECT_ID


def test_nobody_can_verify_a_token(entra: Service) -> None:
    with entra.client() as client:
        assert client.get(f"/{identity.TENANT_ID}/discovery/v2.0/keys").status_code == 404


def test_nobody_redeems_the_code_of_the_sign_in_page(entra: Service) -> None:
    with entra.client() as client:
        answer = entra.ask_token(client, "x", "y", grant_type="authorization_code")
    assert body_of(answer)["error_codes"] == [70003]


@pytest.mark.parametrize("kind", ["groups", "policies/tokenLifetimePolicies", "auditLogs/signIns"])
def test_what_the_product_does_not_need_is_not_served(entra: Service, kind: str) -> None:
    with entra.graph() as graph:
        answer = graph.get(f"/v1.0/{kind}")
    assert (answer.status_code, body_of(answer)["error"]["code"]) == (404, "BadRequest")


def test_service_principal_keeps_its_name_when_the_application_is_renamed(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "old"}, ME, [])
    principal = entra.directory.create_service_principal({"appId": made["appId"]}, ME, [])
    entra.directory.update_application(made["id"], {"displayName": "new"}, ME)
    assert entra.directory.get("servicePrincipals", principal["id"])["displayName"] == "old"


def test_secrets_are_not_accepted_on_creation_or_by_patch(entra: Service) -> None:
    credentials = {"passwordCredentials": [{"displayName": "x"}]}
    made = entra.directory.create_application({"displayName": "mail", **credentials}, ME, [])
    entra.directory.update_application(made["id"], credentials, ME)
    assert entra.directory.get("applications", made["id"])["passwordCredentials"] == []


def test_beta_is_version_1(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "mail"}, ME, [])
    with entra.graph() as graph:
        answers = [body_of(graph.get(f"/{version}/applications/{made['id']}")) for version in ("v1.0", "beta")]
    first, second = ({key: value for key, value in item.items() if key != "@odata.context"} for item in answers)
    assert first == second
