"""What each side of the sandbox holds now, and the facts that `make up` ends with."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from typing import Any

import httpx

from sandbox import deployment
from sandbox.certificates import certificates
from sandbox.entra.directory import DATA
from sandbox.errors import SandboxError
from sandbox.nocobase import server
from sandbox.place import Place
from sandbox.setup import load_record, nocobase_url


def entra(place: Place) -> dict[str, Any]:
    """Everything the stand-in for Entra ID holds. Raises SandboxError if it does not run."""
    state: dict[str, Any] = _asked(place, "GET", "state")
    return state


def take_entra_requests(place: Place) -> list[dict[str, Any]]:
    """The requests that the stand-in for Entra ID got since the last call. Raises SandboxError if it does not run."""
    seen: list[dict[str, Any]] = _asked(place, "GET", "requests")["value"]
    _asked(place, "DELETE", "requests")
    return seen


def _asked(place: Place, method: str, page: str) -> Any:
    trusted = ssl.create_default_context(cafile=certificates(place).bundle)
    with httpx.Client(verify=trusted, trust_env=False) as client:
        try:
            answer = client.request(method, f"https://localhost:{load_record(place).entra_port}/_sandbox/{page}")
        except httpx.ConnectError:
            raise SandboxError("The sandbox's Entra ID does not run.", "Run `make up`.") from None
        return answer.raise_for_status().json() if answer.content else None


def holdings(place: Place) -> dict[str, Any]:
    """Both sides: Entra ID's objects, and NocoBase's Microsoft row with the secret as stored."""
    return {"entra": entra(place), "nocobase": server.mail_settings_row(place)}


def summary(place: Place, now: datetime | None = None) -> dict[str, str]:
    """What was set up, as read from the stack's outputs and from Entra ID.

    Raises SandboxError if there is no application of the stack's.
    """
    outputs = deployment.outputs(place)
    state = entra(place)
    # After a destruction the engine keeps the outputs.
    application = next((item for item in state["applications"] if item["appId"] == outputs.get("clientId")), None)
    if application is None:
        raise SandboxError(
            "The stack has no application in the sandbox's Entra ID.",
            "Run `make up`; `python -m sandbox show --format json` shows what is there.",
        )
    secrets = application["passwordCredentials"]
    ends = datetime.fromisoformat(outputs["clientSecretExpiry"])
    days = (ends - (now or datetime.now(UTC))).days
    offered = [scope for principal in _built_in_principals() for scope in principal.get("oauth2PermissionScopes", [])]
    names = {scope["id"]: scope["value"] for scope in offered}
    scopes = [names[item["id"]] for item in application["requiredResourceAccess"][0]["resourceAccess"]]
    registered = application["web"]["redirectUris"]
    return {
        "Client ID": outputs["clientId"],
        "Tenant": outputs["tenantId"],
        "Audience": application["signInAudience"],
        "Scopes": ", ".join(scopes),
        "Redirect URI": outputs.get("redirectUri") or registered[0],
        "Client secret": ", ".join(secret["displayName"] for secret in secrets),
        "Expires": f"{ends.date()} ({days} days left)",
        "NocoBase": nocobase_url(place),
        "Proved": _proved(outputs, registered),
    }


def _proved(outputs: dict[str, Any], registered: list[str]) -> str:
    """What NocoBase's sign-in link proved; where it did not, why.

    registered: all redirect URIs, after a move those of the run before too, which the next run removes.
    """
    client_id, redirect_uri = outputs.get("provedClientId"), outputs.get("redirectUri")
    # The engine leaves out an output without a value: with verifyAction none, NocoBase was not asked.
    if (client_id, redirect_uri) == (None, None):
        return "not verified: nocobaseMapping.verifyAction is none"
    if client_id != outputs["clientId"]:
        return f"NO: NocoBase's sign-in link names {client_id or 'no client ID'}"
    if redirect_uri not in registered:
        return f"NO: {redirect_uri or 'no redirect URI'}, which NocoBase's sign-in link names, is not registered"
    return "yes: NocoBase's sign-in link names this client ID and redirect URI"


def _built_in_principals() -> list[dict[str, Any]]:
    """Microsoft's own service principals, Microsoft Graph among them; every tenant has them."""
    principals: list[dict[str, Any]] = json.loads((DATA / "service_principals.json").read_text(encoding="utf-8"))
    return principals
