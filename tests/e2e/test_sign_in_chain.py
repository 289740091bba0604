"""`doctor` on the chain of a sign-in, with the real NocoBase: each link of it is broken."""

from __future__ import annotations

import pytest

from provisioning.doctor.runner import Check, Outcome
from provisioning.entra.scopes import MICROSOFT_GRAPH
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.test_doctor import Patient, ask

# Microsoft's SDK uses what it has deprecated itself.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")]

__all__ = ["ask"]

LINK = tuple(f"sign-in link: {part}" for part in ("client ID", "redirect URI", "scopes", "tenant"))
CHAIN = (
    "application",
    "permissions",
    "redirect URIs",
    "service principal",
    "client secret",
    "email settings",
    *LINK,
    "consent",
)


def chain(ask: Patient, **extra: str) -> dict[str, Check]:
    """What `doctor` says of the chain of a sign-in."""
    return ask(*CHAIN, **extra)


def consent(stack: Stack, scopes: str) -> str:
    """An administrator consents for everybody; the service principal's object id."""
    own, microsoft_graph = (
        graph(stack, "GET", f"/servicePrincipals(appId='{found}')")["id"]
        for found in (stack.outputs["clientId"], MICROSOFT_GRAPH)
    )
    grant = {"clientId": own, "resourceId": microsoft_graph, "consentType": "AllPrincipals", "scope": scopes}
    graph(stack, "POST", "/oauth2PermissionGrants", grant)
    return str(own)


def test_what_this_account_may_not_read_is_told_and_breaks_nothing(ask: Patient) -> None:
    stack = ask.stack
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}
    fault = {"match": "GET .*oauth2PermissionGrants", "status": 403, "body": denied}
    sandbox_entra(stack.place, "POST", "faults", fault)
    assert "could not be read" in chain(ask)["consent"].said


def test_an_application_that_somebody_changed(ask: Patient) -> None:
    stack = ask.stack
    (application,) = stack.applications
    (key,) = application["passwordCredentials"]
    access = application["requiredResourceAccess"]
    access[0]["resourceAccess"].pop()
    changed = {"requiredResourceAccess": access, "web": {"redirectUris": ["https://elsewhere.example.com"]}}
    graph(stack, "PATCH", f"/applications/{application['id']}", changed)
    graph(stack, "POST", f"/applications/{application['id']}/removePassword", {"keyId": key["keyId"]})
    consent(stack, "email User.Read")
    found = chain(ask)
    assert "is missing" in found["permissions"].said
    assert "https://elsewhere.example.com is not declared" in found["redirect URIs"].said
    assert "AADSTS7000215" in found["client secret"].said
    assert "AADSTS50011" in found["sign-in link: redirect URI"].said
    assert (found["consent"].outcome, found["consent"].said.partition("; whether")[0]) == (
        Outcome.WARNING,
        "for everybody: email, User.Read; by nobody yet: offline_access, IMAP.AccessAsUser.All, SMTP.Send",
    )
    assert {name for name, check in found.items() if check.outcome is Outcome.FAILED} == {
        "permissions",
        "redirect URIs",
        "client secret",
        "sign-in link: redirect URI",
    }


def test_another_client_id_in_nocobase_and_no_service_principal(ask: Patient) -> None:
    stack = ask.stack
    stack.nocobase("mailSettings:update", {"clientId": "another"}, filterByTk=str(stack.row["id"]))
    graph(stack, "DELETE", f"/servicePrincipals/{consent(stack, 'email')}")
    found = chain(ask)
    assert "client ID (not a client ID) instead of" in found["email settings"].said
    assert "the link names (not a client ID) instead of" in found["sign-in link: client ID"].said
    assert "AADSTS7000229" in found["service principal"].said
    assert (found["consent"].outcome, found["consent"].said) == (
        Outcome.SKIPPED,
        "because 'service principal' failed",
    )


def test_neither_side_takes_the_login(ask: Patient) -> None:
    found = chain(ask, NOCOBASE_API_KEY="wrong-key-of-the-test", ARM_CLIENT_SECRET="wrong")
    assert "AADSTS7000215" in found["sign-in"].said
    assert "rejected the login" in found["login to NocoBase"].said
    assert found["sign-in link: tenant"].outcome is Outcome.SKIPPED


def test_settings_that_were_not_deployed_yet_are_what_is_declared(ask: Patient) -> None:
    stack = ask.stack
    stack.set("consent", "tenant")
    stack.set("audience", "AzureADMyOrg")
    found = chain(ask)
    assert "consent is declared for the tenant, and missing" in found["consent"].said
    assert "AADSTS50194" in found["sign-in link: tenant"].said
    assert "its audience is AzureADandPersonalMicrosoftAccount instead of AzureADMyOrg" in found["application"].said
    consent(stack, "email offline_access IMAP.AccessAsUser.All SMTP.Send User.Read")
    assert chain(ask)["consent"].outcome is Outcome.OK
