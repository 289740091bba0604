"""`verify` on the real engine and the real NocoBase: every link proved, and every link broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.entra.scopes import MICROSOFT_GRAPH
from sandbox import holdings
from sandbox.environment import environment
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.test_commands import command, masked
from tests.golden import check, on_terminal

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"


def verify(stack: Stack, ok: bool = True, **extra: str) -> dict[str, tuple[str, str]]:
    """What `verify --format json` prints: check → outcome and sentence."""
    said = json.loads(command(stack, "verify", "--format", "json", ok=ok, extra=extra)[0])
    return {found["name"]: (found["outcome"], found["said"]) for found in said}


def test_every_link_of_the_chain(stack: Stack) -> None:
    assert "Run `pulumi up` first" in command(stack, "verify", ok=False)[1]
    stack.up("--skip-preview")
    secret = stack.outputs["clientSecret"]

    said, words = command(stack, "verify")
    check(GOLDEN / "verify.txt", masked(stack, said))
    assert words == ""
    shown, code = on_terminal(["verify"], stack.place.project, environment(stack.place))
    assert code == 0
    check(GOLDEN / "verify-terminal.txt", masked(stack, shown))
    assert secret not in said + shown

    # What this account may not read is told, and breaks nothing.
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}
    sandbox_entra(
        stack.place, "POST", "faults", {"match": "GET .*oauth2PermissionGrants", "status": 403, "body": denied}
    )
    assert "could not be read" in verify(stack)["consent"][1]

    # Somebody changes the application by hand, issues consent for part of it, and removes the secret.
    object_id, client_id = stack.outputs["objectId"], stack.outputs["clientId"]
    (application,) = stack.applications
    (key,) = application["passwordCredentials"]
    access = application["requiredResourceAccess"]
    access[0]["resourceAccess"].pop()
    changed = {"requiredResourceAccess": access, "web": {"redirectUris": ["https://elsewhere.example.com"]}}
    graph(stack, "PATCH", f"/applications/{object_id}", changed)
    graph(stack, "POST", f"/applications/{object_id}/removePassword", {"keyId": key["keyId"]})
    own, microsoft_graph = (
        graph(stack, "GET", f"/servicePrincipals(appId='{found}')")["id"] for found in (client_id, MICROSOFT_GRAPH)
    )
    grant = {"clientId": own, "resourceId": microsoft_graph, "consentType": "AllPrincipals", "scope": "email User.Read"}
    graph(stack, "POST", "/oauth2PermissionGrants", grant)
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

    # NocoBase is given another client id, and the service principal is deleted; then nothing can be read.
    row_id = str(stack.row["id"])
    stack.nocobase("mailSettings:update", {"clientId": "another"}, filterByTk=row_id)
    graph(stack, "DELETE", f"/servicePrincipals/{own}")
    found = verify(stack, ok=False)
    assert "client id another instead of" in found["NocoBase"][1]
    assert "the link names another instead of" in found["sign-in link: client ID"][1]
    assert "AADSTS7000229" in found["service principal"][1]
    assert found["consent"] == ("skipped", "because 'service principal' failed")
    found = verify(stack, ok=False, NOCOBASE_API_KEY="wrong-key-of-the-test", ARM_CLIENT_SECRET="wrong")
    assert "AADSTS7000215" in found["application"][1]
    assert "rejected the login" in found["NocoBase"][1]
    assert found["sign-in link: tenant"][0] == "skipped"

    stack.pulumi("refresh", "--yes")
    stack.up("--skip-preview")
    assert {outcome for outcome, _ in verify(stack).values()} == {"OK", "warning"}


def test_settings_that_were_not_deployed_yet_are_what_is_declared(stack: Stack) -> None:
    stack.set("consent", "tenant")
    stack.up("--skip-preview")
    assert verify(stack)["consent"][0] == "OK"
    (grant,) = holdings.entra(stack.place)["oauth2PermissionGrants"]
    graph(stack, "DELETE", f"/oauth2PermissionGrants/{grant['id']}")
    stack.set("audience", "AzureADMyOrg")
    found = verify(stack, ok=False)
    assert "consent is declared for the tenant, and missing" in found["consent"][1]
    assert "AADSTS50194" in found["sign-in link: tenant"][1]
    assert "its audience is AzureADandPersonalMicrosoftAccount instead of AzureADMyOrg" in found["application"][1]
