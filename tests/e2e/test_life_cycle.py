"""A stack's whole life on the real engine and the real NocoBase."""

from __future__ import annotations

import httpx
import pytest

from sandbox import holdings
from sandbox.nocobase import server
from tests.e2e import outside
from tests.e2e.conftest import Stack, graph
from tests.e2e.forked import OWN_START

pytestmark = pytest.mark.e2e


def test_create_no_change_change_drift_refresh_destroy(deployed: Stack) -> None:
    stack = deployed

    # Create: both sides agree, and NocoBase's own sign-in link was the proof.
    outputs = stack.outputs
    (application,) = stack.applications
    assert application["appId"] == outputs["clientId"] == outputs["provedClientId"]
    assert application["web"]["redirectUris"] == [outputs["redirectUri"]]
    assert application["signInAudience"] == "AzureADandPersonalMicrosoftAccount"
    assert len(application["requiredResourceAccess"][0]["resourceAccess"]) == 5
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])
    assert outputs["adminConsentUrl"].endswith(f"{outputs['tenantId']}/adminconsent?client_id={outputs['clientId']}")

    # No change: nothing is written anywhere.
    before = stack.row
    assert "unchanged" in stack.up("--expect-no-changes", extra=OWN_START)
    assert stack.row == before

    # Name and consent for the whole tenant: an update in place, the secret stays. An administrator has consented by the
    # address before, which Entra ID takes once only: that very consent is taken over.
    consent_by_the_address(stack)
    (given,) = holdings.entra(stack.place)["oauth2PermissionGrants"]
    stack.set("applicationName", "NocoBase mail, renamed")
    stack.set("consent", "tenant")
    stack.up()
    (application,) = stack.applications
    assert application["displayName"] == "NocoBase mail, renamed"
    (grant,) = holdings.entra(stack.place)["oauth2PermissionGrants"]
    scopes = {"email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read"}
    assert set(grant["scope"].split()) == scopes
    assert grant == given
    assert "consentTakenOver" not in stack.outputs
    assert stack.outputs["clientSecret"] == outputs["clientSecret"]

    # Drift in NocoBase is seen by a preview.
    row_id = str(stack.row["id"])
    stack.nocobase("mailSettings:update", {"clientId": "changed by hand"}, filterByTk=row_id)
    stack.pulumi("preview", "--expect-no-changes", ok=False)

    # Drift on both sides, a row that is gone: repaired by the next `up`, with other scopes at once.
    stack.nocobase("mailSettings:destroy", {}, filterByTk=row_id)
    graph(stack, "PATCH", f"/applications/{outputs['objectId']}", {"displayName": "changed by hand"})
    stack.set("scopes", ["Mail.Read"])
    stack.set("consent", "user")
    stack.up()
    (application,) = stack.applications
    assert application["displayName"] == "NocoBase mail, renamed"
    assert len(application["requiredResourceAccess"][0]["resourceAccess"]) == 1
    assert holdings.entra(stack.place)["oauth2PermissionGrants"] == [given], "it is not the stack's to withdraw"
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])

    # Destroy: nothing is left.
    stack.pulumi("destroy", "--yes", extra=OWN_START)
    assert stack.applications == []
    assert holdings.entra(stack.place)["oauth2PermissionGrants"] == []
    assert stack.credentials == ("", "")


def consent_by_the_address(stack: Stack) -> None:
    """Open the output `adminConsentUrl`, as an administrator does, at the stand-in instead of Microsoft."""
    address = httpx.URL(stack.outputs["adminConsentUrl"])
    led = outside.entra(stack.place).get(f"{address.path}?{address.query.decode()}")
    assert led.headers["location"].startswith(f"{stack.outputs['redirectUri']}?admin_consent=True&tenant=")


def test_no_secret_in_state_logs_or_output(stack: Stack) -> None:
    stack.up("--diff")
    secrets = [stack.outputs["clientSecret"], server.api_key(stack.place), "wrong-key-of-the-test"]
    stack.nocobase("mailSettings:update", {"clientId": "changed by hand"}, filterByTk=str(stack.row["id"]))
    stack.pulumi("preview", "--diff", "--json")
    stack.up(ok=False, extra={"NOCOBASE_API_KEY": "wrong-key-of-the-test"})
    texts = {"output": "\n".join(stack.said), "state": stack.state_file.read_text()}
    folders = (stack.place.logs, stack.place.pulumi_home)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    texts |= {path.name: path.read_text(errors="replace") for path in files}
    # The client ID is no secret: that it is found everywhere shows that the search works.
    client_id = stack.outputs["clientId"]
    assert client_id in texts["output"]
    assert client_id in texts["state"]
    hits = [(name, secret[:4]) for name, text in texts.items() for secret in secrets if secret in text]
    assert hits == []
