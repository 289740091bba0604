"""Applications made by hand come under the stack: nothing that works is changed, and the preview has no surprise."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.entra.scopes import MICROSOFT_GRAPH, SCOPE_IDS
from sandbox import holdings
from sandbox.entra import identity
from sandbox.setup import nocobase_url
from tests import golden
from tests.e2e.commands import run
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.stack import NAME, surroundings
from tests.provisioning.program.test_application import ROLE

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"
COLLEAGUE, OTHER_COLLEAGUE = "aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
SCOPES = [{"id": SCOPE_IDS[name], "type": "Scope"} for name in ("email", "offline_access")]
CALENDARS = {"id": "465a38f9-76ea-45b9-9f34-9e8b0d4b0b42", "type": "Scope"}
FULL_ACCESS = {"id": "dc890d15-9560-4a4c-9b7f-a736ec74ec40", "type": "Role"}
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
    code, printed, said = run(stack, "adopt", *arguments, "--stack", NAME)
    assert code == exit_code, printed + said
    assert "Traceback" not in said
    assert "\x1b" not in printed + said
    return printed, said


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


def changes(said: str) -> dict[str, set[str]]:
    """What `adopt` says that `pulumi up` will do: `create ApplicationPassword` → the properties that it touches."""
    steps = (line.strip().partition(": ") for line in said.splitlines() if re.match("  [^ •]", line))
    return {step: set(changed.split(", ")) if changed else set() for step, _, changed in steps}


NEEDED = {"create ApplicationPassword", "create MailSettings", "update Application"}
"""What the first `up` does: it issues a secret, pushes it, and adds what the stack declares besides."""

PROVIDER = {"create pulumi-python"}
"""That of the push; a first `up` that was refused may have created it."""


def adopted(made: ByHand, *options: str) -> list[dict[str, Any]]:
    """Adopt it, which changes neither side. Returns the lines that `adopt` showed."""
    stack = made.stack
    before = made.application, made.principal, made.owners, stack.row
    printed, said = adopt(stack, made.client_id, "--yes", "--format", "json", *options, *accepted(made, *options))
    assert (made.application, made.principal, made.owners, stack.row) == before
    lines: list[dict[str, Any]] = json.loads(printed)
    would = changes(said)
    assert set(would) - PROVIDER == NEEDED
    assert would["update Application"] == announced(lines)
    return lines


def accepted(made: ByHand, *options: str) -> list[str]:
    """The options of the command that is shown to accept what others could use."""
    said = adopt(made.stack, made.client_id, *options)[1]
    found = said.partition("Nothing was changed. ")[2].splitlines()[1].split()
    return [part for part in found[found.index("--yes") + 1 :] if part != "--accept-losses"]


def deployed(made: ByHand, lost: str = "") -> None:
    """Deploy it: everything that was there is there afterwards. lost: a redirect URI that could not be kept."""
    stack, application, principal, owners = made.stack, made.application, made.principal, made.owners
    stack.up()
    assert stack.credentials == (made.client_id, stack.outputs["clientSecret"])
    addresses = application["web"]["redirectUris"]
    application["web"]["redirectUris"] = [uri for uri in addresses if uri != lost]
    assert survived(application, made.application) == []
    assert lost not in made.application["web"]["redirectUris"]
    if principal is not None:
        assert survived(principal, made.principal or {}) == []
    assert all(before <= after for before, after in zip(owners, made.owners, strict=True))
    stack.pulumi("preview", "--expect-no-changes")


def survived(before: Any, after: Any, path: str = "") -> list[str]:
    """Where something that meant something has gone or changed; what was added does not count."""
    if isinstance(before, dict):
        return [path_ for key, value in before.items() for path_ in survived(value, after.get(key), f"{path}.{key}")]
    if isinstance(before, list):
        if path == ".requiredResourceAccess":
            return [] if permissions(before) <= permissions(after) else [path]
        return [] if all(any(survived(item, other) == [] for other in after or []) for item in before) else [path]
    return [] if meaningful(before) in (meaningful(after), None) else [path]


def meaningful(value: Any) -> Any:
    """`value` without the empty values of Graph's objects, at every depth: null, false, "", [] and {}."""
    if isinstance(value, dict):
        kept = {key: meaningful(inner) for key, inner in value.items() if key != "@odata.type"}
        return {key: inner for key, inner in kept.items() if inner is not None} or None
    return value or None


def permissions(resources: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """All of them, flat."""
    return {
        (resource["resourceAppId"], access["id"], access["type"])
        for resource in resources
        for access in resource["resourceAccess"]
    }


def test_with_more_of_everything_than_the_program_declares(stack: Stack) -> None:
    pathless, wildcard = "https://c.example.com", "https://*.example.com/callback"
    made = make(
        stack,
        {
            "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
            "appRoleAssignmentRequired": True,
            "notes": "do not delete",
            "loginUrl": "https://login.example.com",
        },
        signInAudience="AzureADMultipleOrgs",
        tags=["mail", "4711", "true", "+5"],
        identifierUris=["api://outlook-by-hand"],
        appRoles=[ROLE],
        requiredResourceAccess=[
            {"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": [*SCOPES, CALENDARS]},
            {"resourceAppId": EXCHANGE, "resourceAccess": [FULL_ACCESS]},
        ],
        description="reads mail",
        notes="do not delete",
        groupMembershipClaims="SecurityGroup",
        isFallbackPublicClient=True,
        serviceManagementReference="SVC-1",
        info={"marketingUrl": "https://example.com", "supportUrl": "https://support.example.com"},
        spa={"redirectUris": ["https://spa.example.com/"]},
        publicClient={"redirectUris": ["myapp://auth"]},
        optionalClaims={"idToken": [CLAIM], "accessToken": [], "saml2Token": []},
        web={
            "redirectUris": ["https://b.example.com/callback", "https://a.example.com/callback", wildcard, pathless],
            "homePageUrl": "https://example.com",
            "implicitGrantSettings": {"enableIdTokenIssuance": True},
        },
        keyCredentials=[{"displayName": "CN=by hand", "keyId": COLLEAGUE}],
    )
    made.add_secret("clicked together")
    add_owner(stack, f"/applications/{made.object_id}", COLLEAGUE)
    principal = made.principal
    assert principal is not None
    add_owner(stack, f"/servicePrincipals/{principal['id']}", OTHER_COLLEAGUE)

    said = adopt(stack, made.client_id, "--format", "markdown", exit_code=1)
    golden.check(GOLDEN / "adopt.md", masked("".join(said)))
    lines = adopted(made, "--accept-losses")
    assert {"furtherPermissions", "certificates", "everything else"} <= {line["property"] for line in lines}
    deployed(made, lost=pathless)
    assert made.owners == (
        {COLLEAGUE, identity.DEPLOYER_OBJECT_ID},
        {OTHER_COLLEAGUE, identity.DEPLOYER_OBJECT_ID},
    )

    # What is not declared may still be changed by hand: the next update does not take it back.
    graph(stack, "PATCH", f"/applications/{made.object_id}", {"notes": "changed by hand"})
    stack.set("applicationName", "renamed")
    stack.up()
    assert (made.application["displayName"], made.application["notes"]) == ("renamed", "changed by hand")
    assert made.application["optionalClaims"]["idToken"][0]["name"] == "email"


def test_for_personal_accounts_with_a_secret_that_nocobase_uses(stack: Stack) -> None:
    made = make(
        stack,
        {},
        displayName="NocoBase mail",
        signInAudience="AzureADandPersonalMicrosoftAccount",
        api={"requestedAccessTokenVersion": 2},
        web={"redirectUris": [callback(stack)]},
    )
    # It is not doubled unasked.
    said = stack.up(ok=False)
    assert f"python -m provisioning adopt {made.client_id}" in said
    assert "Traceback" not in said
    assert len(stack.applications) == 1

    first, second = made.add_secret("the first"), made.add_secret("the second")
    row = str(stack.row["id"])
    stack.nocobase("mailSettings:update", {"clientId": made.client_id, "clientSecret": made.secret}, filterByTk=row)
    listed = json.loads(adopt(stack, "--format", "json")[0])
    why = "NocoBase has its client ID, redirect URI, same name"
    assert [item.pop("created")[:4] for item in listed] != [""]
    assert listed == [{"clientId": made.client_id, "name": "NocoBase mail", "why": why, "stack": "none"}]

    # Of two secrets only one may be there.
    state = stack.state_file.read_text()
    said = adopt(stack, made.client_id, "--yes", exit_code=1)[1]
    assert f'this one has 2: "the first" ({first}), ends on 2028-01-01; "the second" ({second})' in said
    assert stack.state_file.read_text() == state
    graph(stack, "POST", f"/applications/{made.object_id}/removePassword", {"keyId": first})
    lines = adopted(made)
    assert {"NocoBase", "client secret"} <= {line["property"] for line in lines}
    deployed(made)
    assert second in [secret["keyId"] for secret in made.application["passwordCredentials"]]


def test_on_a_terminal_of_a_stack_whose_state_was_lost_without_a_service_principal(stack: Stack) -> None:
    made = make(stack, tags=["pulumi:organization/nocobase-outlook/dev"], signInAudience="AzureADMyOrg")
    empty = stack.state_file.read_text()
    project, around = stack.place.project, surroundings(stack.place)
    shown, code = golden.on_terminal(["adopt", made.client_id], project, around, typed="n\n")
    assert code == 0
    assert "\x1b[" in shown
    golden.check(GOLDEN / "adopt-terminal.txt", masked(shown))
    assert stack.state_file.read_text() == empty

    # NocoBase does not serve the audience, as was said.
    graph(stack, "PATCH", f"/applications/{made.object_id}", {"signInAudience": "AzureADMultipleOrgs"})
    kept = made.add_secret("NocoBase mail a 2026-08-01")
    shown, code = golden.on_terminal(["adopt", made.client_id], project, around, typed="y\ny\n")
    assert code == 0
    assert "distinguishes" in shown
    assert set(changes(shown)) - PROVIDER == {*NEEDED, "create ServicePrincipal"}
    assert "That is what `pulumi up` will do" in shown
    assert "`pulumi state delete --all --force` undoes the adoption" in shown
    deployed(made)
    assert kept in [secret["keyId"] for secret in made.application["passwordCredentials"]]

    # It is somebody's own: it goes only in the way of the documentation.
    held = stack.credentials
    refused = stack.pulumi("destroy", "--yes", "--skip-preview", ok=False)
    assert "The application is protected (protectApplication)" in refused
    assert held == stack.credentials == (made.client_id, stack.outputs["clientSecret"])
    assert made.principal
    assert kept in [secret["keyId"] for secret in made.application["passwordCredentials"]]
    stack.pulumi("state", "delete", "--all", "--force", "--yes")
    assert made.application


def test_what_is_not_there(stack: Stack) -> None:
    said = adopt(stack, COLLEAGUE, "--yes", exit_code=1)[1]
    assert f"no application of client ID {COLLEAGUE}" in said
    assert "has the text nobody in its name" in adopt(stack, "--search", "nobody")[1]


def test_one_to_which_the_tenant_has_consented_already(stack: Stack) -> None:
    made = make(stack, {}, signInAudience="AzureADMyOrg")
    principals = graph(stack, "GET", f"/servicePrincipals?$filter=appId eq '{MICROSOFT_GRAPH}'")["value"]
    grant = {"clientId": (made.principal or {})["id"], "consentType": "AllPrincipals", "scope": "email"}
    graph(stack, "POST", "/oauth2PermissionGrants", {**grant, "resourceId": principals[0]["id"]})
    assert "--yes" in adopt(stack, made.client_id)[1]
    stack.set("consent", "tenant")
    said = adopt(stack, made.client_id, "--yes", exit_code=1)[1]
    assert "The tenant has consented to this application already (email)" in said


def callback(stack: Stack) -> str:
    """Where the stack's NocoBase has users sent back to."""
    return f"{nocobase_url(stack.place)}/admin/settings/mail/oauth2"


def masked(text: str) -> str:
    """Without ids and ports."""
    text = re.sub(GUID, lambda found: found[0] if found[0] in KNOWN else NIL, text)
    text = re.sub(r"created on [-\d]{10} [:\d]{5}", "created on 2026-01-01 00:00", text)
    text = re.sub(r"(--accept [a-z-]+)-[0-9a-f]{12}", r"\1-0123456789ab", text)
    return re.sub(r"localhost:\d{4,5}", "localhost:13000", text)


GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NIL = "00000000-0000-0000-0000-000000000000"
KNOWN = {COLLEAGUE, OTHER_COLLEAGUE}
