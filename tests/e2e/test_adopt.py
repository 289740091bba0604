"""Applications made by hand come under the stack: nothing that works is changed, and the preview has no surprise."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS
from provisioning.program.kept import meaningful
from sandbox import holdings
from sandbox.entra import identity
from sandbox.environment import environment
from tests import golden
from tests.e2e.conftest import Stack, graph, sandbox_entra

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"
COLLEAGUE, OTHER_COLLEAGUE = "aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
SCOPES = [{"id": SCOPE_IDS[name], "type": "Scope"} for name in ("email", "offline_access")]
CALENDARS = {"id": "465a38f9-76ea-45b9-9f34-9e8b0d4b0b42", "type": "Scope"}
FULL_ACCESS = {"id": "dc890d15-9560-4a4c-9b7f-a736ec74ec40", "type": "Role"}
ROLE = {
    "id": "1b19509b-32b1-4e9f-b71d-4992aa991967",
    "allowedMemberTypes": ["User"],
    "description": "May administer",
    "displayName": "Administrator",
    "isEnabled": True,
    "value": "administrator",
}
CLAIM: dict[str, Any] = {"name": "email", "source": None, "essential": True, "additionalProperties": []}


@dataclass
class ByHand:
    """An application as somebody clicked it together. secret: the value of its last client secret."""

    stack: Stack
    object_id: str
    client_id: str
    secret: str = ""

    @property
    def application(self) -> dict[str, Any]:
        """What Entra ID has now."""
        return next(item for item in self.stack.applications if item["id"] == self.object_id)

    @property
    def principal(self) -> dict[str, Any] | None:
        """Its service principal."""
        found = holdings.entra(self.stack.place)["servicePrincipals"]
        return next((item for item in found if item["appId"] == self.client_id), None)

    @property
    def owners(self) -> tuple[set[str], set[str]]:
        """Owners of the application and of the service principal."""
        owners, principal = sandbox_entra(self.stack.place, "GET", "state")["owners"], self.principal
        return set(owners[self.object_id]), set(owners.get(principal["id"], []) if principal else [])

    def add_secret(self, name: str) -> str:
        """One more client secret; its key id."""
        made = graph(
            self.stack,
            "POST",
            f"/applications/{self.object_id}/addPassword",
            {"passwordCredential": {"displayName": name, "endDateTime": "2028-01-01T00:00:00Z"}},
        )
        self.secret = made["secretText"]
        return str(made["keyId"])


def make(stack: Stack, principal: dict[str, Any] | None = None, **application: Any) -> ByHand:
    """Register an application, with a service principal unless `principal` is None."""
    made = graph(stack, "POST", "/applications", {"displayName": "Outlook by hand", **application})
    if principal is not None:
        graph(stack, "POST", "/servicePrincipals", {"appId": made["appId"], **principal})
    return ByHand(stack, made["id"], made["appId"])


def add_owner(stack: Stack, path: str, owner: str) -> None:
    """Somebody else owns it, too."""
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{owner}"}
    graph(stack, "POST", f"{path}/owners/$ref", reference)


def adopt(stack: Stack, *arguments: str, exit_code: int = 0) -> tuple[str, str]:
    """What `adopt` prints to stdout and stderr, piped."""
    ended = golden.piped(["adopt", *arguments], cwd=stack.place.project, extra=environment(stack.place))
    assert ended.returncode == exit_code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    return ended.stdout, ended.stderr


def announced(lines: list[dict[str, Any]]) -> set[str]:
    """The properties of the application that an adoption says will be added to."""
    names = {
        "redirectUris": "web.redirectUris",
        "scopes": "requiredResourceAccesses",
        "furtherPermissions": "requiredResourceAccesses",
    }
    return {
        names.get(line["property"], line["property"]) for line in lines if line["how"].endswith(("added", "extended"))
    }


def changes(stack: Stack) -> dict[str, set[str]]:
    """What a preview would do: `create ApplicationPassword` → the properties that it touches."""
    answer = json.loads(stack.pulumi("preview", "--json"))
    return {
        f"{step['op']} {step['urn'].split('::')[2].rpartition(':')[2]}": {
            path.partition("[")[0] for path in step.get("detailedDiff") or {}
        }
        for step in answer["steps"]
        if step["op"] != "same"
    }


NEEDED = {"create pulumi-python", "create ApplicationPassword", "create MailSettings"}


def adopt_and_deploy(made: ByHand, *expected: str) -> list[dict[str, Any]]:
    """Adopt, preview, deploy; everything that was there is there afterwards. Returns the lines that `adopt` showed.

    expected: what the first `up` does besides issuing a secret and pushing it.
    """
    stack, application, principal, owners = made.stack, made.application, made.principal, made.owners
    nocobase = stack.row
    lines: list[dict[str, Any]] = json.loads(adopt(stack, made.client_id, "--yes", "--format", "json")[0])
    assert (made.application, made.principal, made.owners, stack.row) == (application, principal, owners, nocobase)

    would = changes(stack)
    assert set(would) == {*NEEDED, "update Application", *expected}
    assert would["update Application"] == announced(lines)
    stack.up("--skip-preview")

    assert stack.credentials == (made.client_id, stack.outputs["clientSecret"])
    assert survived(application, made.application) == []
    if principal is not None:
        assert survived(principal, made.principal or {}) == []
    assert all(before <= after for before, after in zip(owners, made.owners, strict=True))
    stack.pulumi("preview", "--expect-no-changes", "--refresh")
    return lines


def survived(before: Any, after: Any, path: str = "") -> list[str]:
    """Where something that meant something has gone or changed; what was added does not count."""
    if isinstance(before, dict):
        return [path_ for key, value in before.items() for path_ in survived(value, after.get(key), f"{path}.{key}")]
    if isinstance(before, list):
        if path == ".requiredResourceAccess":
            return [] if permissions(before) <= permissions(after) else [path]
        return [] if all(any(survived(item, other) == [] for other in after or []) for item in before) else [path]
    return [] if meaningful(before) in (meaningful(after), None) else [path]


def permissions(resources: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """All of them, flat."""
    return {
        (resource["resourceAppId"], access["id"], access["type"])
        for resource in resources
        for access in resource["resourceAccess"]
    }


def test_of_one_tenant_with_a_secret_that_nocobase_uses(stack: Stack) -> None:
    made = make(stack, {}, signInAudience="AzureADMyOrg", web={"redirectUris": [callback(stack)]})
    made.add_secret("clicked together")
    row = str(stack.row["id"])
    stack.nocobase("mailSettings:update", {"clientId": made.client_id, "clientSecret": made.secret}, filterByTk=row)
    listed = json.loads(adopt(stack, "--format", "json")[0])
    why = "NocoBase has its client id, redirect URI"
    assert listed == [{"clientId": made.client_id, "name": "Outlook by hand", "why": why, "stack": "none"}]
    lines = adopt_and_deploy(made)
    assert {"NocoBase", "client secret", "api"} <= {line["property"] for line in lines}


def test_for_personal_accounts_only_one_secret_may_be_there(stack: Stack) -> None:
    made = make(stack, {}, signInAudience="AzureADandPersonalMicrosoftAccount", api={"requestedAccessTokenVersion": 2})
    first, second = made.add_secret("the first"), made.add_secret("the second")
    said = adopt(stack, made.client_id, "--yes", exit_code=1)[1]
    assert f"it has 2: 'the first' ({first}), ends on 2028-01-01; 'the second' ({second})" in said
    assert "Pulumi" not in stack.pulumi("stack", "export")
    graph(stack, "POST", f"/applications/{made.object_id}/removePassword", {"keyId": first})
    lines = adopt_and_deploy(made)
    assert [line["property"] for line in lines if line["how"] == "kept by keep"] == []


def test_with_more_of_everything_that_a_setting_says(stack: Stack) -> None:
    made = make(
        stack,
        {"tags": ["WindowsAzureActiveDirectoryIntegratedApp"]},
        signInAudience="AzureADMultipleOrgs",
        tags=["mail", "4711", "true", "+5"],
        identifierUris=["api://outlook-by-hand"],
        appRoles=[ROLE],
        web={"redirectUris": ["https://b.example.com/callback", "https://a.example.com/callback"]},
        requiredResourceAccess=[
            {"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": [*SCOPES, CALENDARS]},
            {"resourceAppId": EXCHANGE, "resourceAccess": [FULL_ACCESS]},
        ],
    )
    made.add_secret("clicked together")
    lines = adopt_and_deploy(made)
    assert {"appRoles", "identifierUris", "furtherPermissions", "tags"} <= {line["property"] for line in lines}


def test_without_a_service_principal_and_left_by_a_stack_whose_state_was_lost(stack: Stack) -> None:
    made = make(stack, tags=["pulumi:organization/nocobase-outlook/dev"], signInAudience="AzureADMyOrg")
    kept = made.add_secret("NocoBase mail a 2026-08-01")
    lines = adopt_and_deploy(made, "create ServicePrincipal")
    assert {"service principal", "secretDescription"} <= {line["property"] for line in lines}
    assert kept in [secret["keyId"] for secret in made.application["passwordCredentials"]]


def test_with_several_owners_and_what_the_program_does_not_declare(stack: Stack) -> None:
    made = make(
        stack,
        {"appRoleAssignmentRequired": True, "notes": "do not delete", "loginUrl": "https://login.example.com"},
        signInAudience="AzureADMyOrg",
        description="reads mail",
        notes="do not delete",
        groupMembershipClaims="SecurityGroup",
        isFallbackPublicClient=True,
        serviceManagementReference="SVC-1",
        info={"marketingUrl": "https://example.com", "supportUrl": "https://support.example.com"},
        spa={"redirectUris": ["https://spa.example.com"]},
        publicClient={"redirectUris": ["myapp://auth"]},
        optionalClaims={"idToken": [CLAIM], "accessToken": [], "saml2Token": []},
        web={"homePageUrl": "https://example.com", "implicitGrantSettings": {"enableIdTokenIssuance": True}},
        keyCredentials=[{"displayName": "CN=by hand", "keyId": COLLEAGUE}],
    )
    add_owner(stack, f"/applications/{made.object_id}", COLLEAGUE)
    principal = made.principal
    assert principal is not None
    add_owner(stack, f"/servicePrincipals/{principal['id']}", OTHER_COLLEAGUE)
    said = adopt(stack, made.client_id, "--format", "markdown")
    golden.check(GOLDEN / "adopt.md", masked("".join(said)))
    lines = adopt_and_deploy(made)
    assert made.owners == (
        {COLLEAGUE, identity.DEPLOYER_OBJECT_ID},
        {OTHER_COLLEAGUE, identity.DEPLOYER_OBJECT_ID},
    )
    assert "certificates" in [line["property"] for line in lines]

    # What is kept may still be changed by hand: a refresh learns it, and no later update takes it back.
    graph(stack, "PATCH", f"/applications/{made.object_id}", {"notes": "changed by hand"})
    stack.set("applicationName", "renamed")
    stack.up("--skip-preview", "--refresh")
    assert (made.application["displayName"], made.application["notes"]) == ("renamed", "changed by hand")
    assert made.application["optionalClaims"]["idToken"][0]["name"] == "email"


def test_on_a_terminal_it_asks(stack: Stack) -> None:
    made = make(stack, {}, signInAudience="AzureADMyOrg", displayName="NocoBase mail")
    project, around = stack.place.project, environment(stack.place)
    shown, code = golden.on_terminal(["adopt", made.client_id], project, around, typed="n\n")
    assert code == 0
    assert "\x1b[" in shown
    golden.check(GOLDEN / "adopt-terminal.txt", masked(shown))
    assert "resources" not in stack.pulumi("stack", "export")
    shown, code = golden.on_terminal(["adopt", made.client_id], project, around, typed="y\n")
    assert code == 0
    assert "That is what `pulumi up` will do" in shown
    let_go(made)


def test_an_application_made_by_hand_is_not_doubled_unasked(stack: Stack) -> None:
    made = make(stack, {}, displayName="NocoBase mail")
    said = stack.up(ok=False)
    assert f"python -m provisioning adopt {made.client_id}" in said
    assert "Traceback" not in said
    assert len(stack.applications) == 1
    stack.set("sameName", "allow")
    stack.up("--skip-preview")
    assert len(stack.applications) == 2
    said = adopt(stack, made.client_id, "--yes", exit_code=1)[1]
    assert "has an application of its own already" in said
    # Of a stack, it is in nobody's way; of another one, it is not to be had.
    graph(stack, "PATCH", f"/applications/{made.object_id}", {"tags": ["pulumi:organization/nocobase-outlook/prod"]})
    stack.pulumi("destroy", "--yes", "--skip-preview")
    stack.pulumi("config", "rm", "sameName")
    stack.pulumi("preview")
    said = adopt(stack, made.client_id, "--yes", exit_code=1)[1]
    assert "belongs to another stack: it carries the tag pulumi:organization/nocobase-outlook/prod" in said
    graph(stack, "DELETE", f"/applications/{made.object_id}")


def test_what_is_not_there_or_cannot_be_kept(stack: Stack) -> None:
    said = adopt(stack, COLLEAGUE, "--yes", exit_code=1)[1]
    assert f"no application of client id {COLLEAGUE}" in said
    assert "No application is called 'nobody'" in adopt(stack, "--search", "nobody")[1]
    wildcard = "https://*.example.com/callback"
    made = make(stack, {}, signInAudience="AzureADMyOrg", web={"redirectUris": [wildcard]})
    said = adopt(stack, made.client_id, "--yes", exit_code=1)[1]
    assert f"The redirect URI {wildcard} cannot be kept." in said
    consent_for_everybody(made)
    stack.set("consent", "tenant")
    said = adopt(stack, made.client_id, "--yes", "--accept-losses", exit_code=1)[1]
    assert "The tenant has consented to this application already (email)" in said
    stack.set("consent", "user")
    adopt(stack, made.client_id, "--yes", "--accept-losses")
    said = adopt(stack, made.client_id, "--yes")[1]
    assert "there is nothing to adopt" in said
    let_go(made)


def consent_for_everybody(made: ByHand) -> None:
    """An administrator has consented already."""
    principals = graph(made.stack, "GET", f"/servicePrincipals?$filter=appId eq '{MICROSOFT_GRAPH}'")["value"]
    grant = {"clientId": (made.principal or {})["id"], "consentType": "AllPrincipals", "scope": "email"}
    graph(made.stack, "POST", "/oauth2PermissionGrants", {**grant, "resourceId": principals[0]["id"]})


def let_go(made: ByHand) -> None:
    """Undo the adoption as the README says, which leaves the application; then remove that, too."""
    made.stack.pulumi("state", "delete", "--all", "--yes")
    assert made.application
    graph(made.stack, "DELETE", f"/applications/{made.object_id}")


def callback(stack: Stack) -> str:
    """Where the stack's NocoBase has users sent back to."""
    from sandbox.setup import nocobase_url  # noqa: PLC0415

    return f"{nocobase_url(stack.place)}/admin/settings/mail/oauth2"


def masked(text: str) -> str:
    """Without ids and ports."""
    text = re.sub(GUID, lambda found: found[0] if found[0] in KNOWN else NIL, text)
    return re.sub(r"localhost:\d{4,5}", "localhost:13000", text)


GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NIL = "00000000-0000-0000-0000-000000000000"
KNOWN = {COLLEAGUE, OTHER_COLLEAGUE}
