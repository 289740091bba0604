"""`verify` on the real engine and the real NocoBase: every link proved, and every link broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.entra.scopes import MICROSOFT_GRAPH
from tests.e2e.commands import command
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.stack import NAME, surroundings
from tests.e2e.test_commands import masked
from tests.golden import check, on_terminal

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"


def verify(stack: Stack, ok: bool = True, **extra: str) -> dict[str, tuple[str, str]]:
    """What `verify --format json` prints: check → outcome and sentence."""
    said = json.loads(command(stack, "verify", "--stack", NAME, "--format", "json", ok=ok, extra=extra)[0])
    return {found["name"]: (found["outcome"], found["said"]) for found in said}


def consent(stack: Stack, scopes: str) -> str:
    """An administrator consents for everybody; the service principal's object id."""
    own, microsoft_graph = (
        graph(stack, "GET", f"/servicePrincipals(appId='{found}')")["id"]
        for found in (stack.outputs["clientId"], MICROSOFT_GRAPH)
    )
    grant = {"clientId": own, "resourceId": microsoft_graph, "consentType": "AllPrincipals", "scope": scopes}
    graph(stack, "POST", "/oauth2PermissionGrants", grant)
    return str(own)


def test_before_the_first_deployment(stack: Stack) -> None:
    assert "Run `pulumi up` first" in command(stack, "verify", "--stack", NAME, ok=False)[1]


def test_a_chain_that_holds_as_a_person_and_a_pipe_read_it(deployed: Stack) -> None:
    stack = deployed
    said, words = command(stack, "verify", "--stack", NAME)
    check(GOLDEN / "verify.txt", masked(stack, said))
    assert words == ""
    shown, code = on_terminal(["verify", "--stack", NAME], stack.place.project, surroundings(stack.place))
    assert code == 0
    check(GOLDEN / "verify-terminal.txt", masked(stack, shown))
    assert stack.outputs["clientSecret"] not in said + shown


def test_what_this_account_may_not_read_is_told_and_breaks_nothing(deployed: Stack) -> None:
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}
    fault = {"match": "GET .*oauth2PermissionGrants", "status": 403, "body": denied}
    sandbox_entra(deployed.place, "POST", "faults", fault)
    assert "could not be read" in verify(deployed)["consent"][1]


def test_an_application_that_somebody_changed(deployed: Stack) -> None:
    stack = deployed
    (application,) = stack.applications
    (key,) = application["passwordCredentials"]
    access = application["requiredResourceAccess"]
    access[0]["resourceAccess"].pop()
    changed = {"requiredResourceAccess": access, "web": {"redirectUris": ["https://elsewhere.example.com"]}}
    graph(stack, "PATCH", f"/applications/{application['id']}", changed)
    graph(stack, "POST", f"/applications/{application['id']}/removePassword", {"keyId": key["keyId"]})
    consent(stack, "email User.Read")
    found = verify(stack, ok=False)
    assert "is missing" in found["permissions"][1]
    assert "https://elsewhere.example.com is not declared" in found["redirect URIs"][1]
    assert "AADSTS7000215" in found["client secret"][1]
    assert "AADSTS50011" in found["sign-in link: redirect URI"][1]
    assert found["consent"] == (
        "warning",
        "for everybody: email, User.Read; by nobody yet: offline_access, IMAP.AccessAsUser.All, SMTP.Send",
    )
    assert {name: outcome for name, (outcome, _) in found.items() if outcome == "failed"}.keys() == {
        "permissions",
        "redirect URIs",
        "client secret",
        "sign-in link: redirect URI",
    }


def test_another_client_id_in_nocobase_and_no_service_principal(deployed: Stack) -> None:
    stack = deployed
    stack.nocobase("mailSettings:update", {"clientId": "another"}, filterByTk=str(stack.row["id"]))
    graph(stack, "DELETE", f"/servicePrincipals/{consent(stack, 'email')}")
    found = verify(stack, ok=False)
    assert "client id another instead of" in found["NocoBase"][1]
    assert "the link names another instead of" in found["sign-in link: client ID"][1]
    assert "AADSTS7000229" in found["service principal"][1]
    assert found["consent"] == ("skipped", "because 'service principal' failed")


def test_neither_side_takes_the_login(deployed: Stack) -> None:
    found = verify(deployed, ok=False, NOCOBASE_API_KEY="wrong-key-of-the-test", ARM_CLIENT_SECRET="wrong")
    assert "AADSTS7000215" in found["application"][1]
    assert "rejected the login" in found["NocoBase"][1]
    assert found["sign-in link: tenant"][0] == "skipped"


def test_settings_that_were_not_deployed_yet_are_what_is_declared(deployed: Stack) -> None:
    deployed.set("consent", "tenant")
    deployed.set("audience", "AzureADMyOrg")
    found = verify(deployed, ok=False)
    assert "consent is declared for the tenant, and missing" in found["consent"][1]
    assert "AADSTS50194" in found["sign-in link: tenant"][1]
    assert "its audience is AzureADandPersonalMicrosoftAccount instead of AzureADMyOrg" in found["application"][1]
    consent(deployed, "email offline_access IMAP.AccessAsUser.All SMTP.Send User.Read")
    assert verify(deployed, ok=False)["consent"][0] == "OK"
