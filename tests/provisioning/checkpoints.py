"""Checkpoints of a stack as `pulumi stack export` prints them, as far as the commands read them."""

from __future__ import annotations

import json
from typing import Any

from provisioning.pulumi_cli import SECRET
from provisioning.resource_types import APPLICATION_TYPE, PASSWORD_TYPE, PUSH_TYPE

CLIENT_ID = "0a1b2c3d-0000-4000-8000-000000000001"
OBJECT_ID = "0a1b2c3d-0000-4000-8000-000000000002"
TENANT_ID = "0a1b2c3d-0000-4000-8000-000000000003"
URL = "https://nocobase.example.com"
REDIRECT_URI = f"{URL}/admin/settings/mail/oauth2"

Json = dict[str, Any]


def secret(value: str) -> Json:
    """A secret value, in the clear."""
    return {SECRET: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


def encrypted() -> Json:
    """A secret value that was not asked for."""
    return {SECRET: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x:y"}


def resource(kind: str, name: str, outputs: Json, **more: Any) -> Json:
    """One resource."""
    return {"urn": f"urn:pulumi:prod::nocobase-outlook::{kind}::{name}", "type": kind, "outputs": outputs, **more}


def application(**changed: Any) -> Json:
    """The application."""
    access = [{"id": "258f6531-6087-4cc4-bb90-092c5fb3ed3f", "type": "Scope"}]
    outputs = {
        "clientId": CLIENT_ID,
        "objectId": OBJECT_ID,
        "displayName": "NocoBase mail",
        "signInAudience": "AzureADMyOrg",
        "tags": ["pulumi:organization/nocobase-outlook/prod"],
        "web": {"redirectUris": [REDIRECT_URI]},
        "requiredResourceAccesses": [
            {"resourceAppId": "00000003-0000-0000-c000-000000000000", "resourceAccesses": access}
        ],
    }
    return resource(APPLICATION_TYPE, "mail", {**outputs, **changed})


def password(slot: str, issued: str, ends: str, value: Json | None = None) -> Json:
    """The client secret of a slot, called `value-<slot>` unless told otherwise."""
    outputs = {
        "displayName": f"NocoBase mail {slot} {issued}",
        "keyId": f"key-{slot}",
        "startDate": f"{issued}T08:00:00Z",
        "endDate": f"{ends}T00:00:00Z",
        "rotateWhenChanged": {"issued": f"{issued}T00:00:00Z"},
        "value": value or secret(f"value-{slot}"),
    }
    return resource(PASSWORD_TYPE, f"mail-secret-{slot}", outputs)


def push(slot: str, since: str, name: str = "nocobase", **changed: Any) -> Json:
    """What a NocoBase was given."""
    outputs = {
        "nocobase_url": URL,
        "client_id": CLIENT_ID,
        "client_secret": secret(f"value-{slot}"),
        "redirect_uris": [REDIRECT_URI],
        "slot": slot,
        "since": f"{since}T08:00:00Z",
        "updated_at": "2027-01-01T08:00:05.000Z",
        "tenant_id": TENANT_ID,
    }
    return resource(PUSH_TYPE, name, {**outputs, **changed})


def outputs(**changed: Any) -> Json:
    """The stack itself."""
    found = {"clientId": CLIENT_ID, "tenantId": TENANT_ID, "nextRotation": "2027-04-01T00:00:00Z"}
    return resource("pulumi:pulumi:Stack", "nocobase-outlook-prod", {**found, **changed})


def export(*resources: Json) -> str:
    """What `pulumi stack export` prints."""
    return json.dumps({"version": 3, "deployment": {"resources": list(resources)}})


ONE_SECRET = (outputs(), application(), password("a", "2027-01-01", "2027-06-30"), push("a", "2027-01-01"))
"""A stack as it is after the first `pulumi up`."""

TWO_SECRETS = (
    outputs(nextRotation="2027-06-30T00:00:00Z", oldSecretRetires="2027-04-10T08:00:00Z"),
    application(),
    password("a", "2027-01-01", "2027-06-30"),
    password("b", "2027-04-01", "2027-09-28"),
    push("b", "2027-04-03"),
)
"""A stack in which slot b has just replaced slot a."""
