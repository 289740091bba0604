"""The tenant: is there one of this name? Asked at Entra ID's public OpenID metadata, without a sign-in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import httpx

from provisioning import connections
from provisioning.doctor.runner import Finding, failed, ok
from provisioning.foreign import parsed_json
from provisioning.waiting import answer_of

ANSWER_SECONDS = 20

PUBLIC_CLOUD_LOGIN = "https://login.microsoftonline.com"

NOT_REACHED = "Check this machine's internet access; if it needs a proxy, set HTTPS_PROXY."

ISSUER = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|$)")


def check_tenant(tenant: str, status: int, metadata: Mapping[str, object]) -> Finding:
    """metadata: what the endpoint answered with `status`. The value of a good answer is the tenant's ID."""
    found = ISSUER.search(str(metadata.get("issuer", "")))
    if status == httpx.codes.OK and found:
        return ok(f"there is the tenant {found[1]}", found[1])
    if status in (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND):
        return failed(f"Entra ID knows no tenant {tenant}", "Its ID is on the overview page of Entra ID.")
    return failed(f"Entra ID answered {status} when asked for the tenant {tenant}", "Ask again later.")


def ask_tenant(tenant: str) -> Finding:
    """Whether Entra ID has a tenant of this ID or domain, and its ID."""
    login = (os.environ.get("AZURE_AUTHORITY_HOST") or PUBLIC_CLOUD_LOGIN).rstrip("/")
    login = login if "://" in login else f"https://{login}"
    try:
        metadata_url = f"{login}/{tenant}/v2.0/.well-known/openid-configuration"
        answer = answer_of(lambda: connections.get(metadata_url, ANSWER_SECONDS), login, ANSWER_SECONDS)
        metadata = parsed_json(answer.content)
    except httpx.HTTPError:
        return failed(f"Entra ID at {login} was not reached", NOT_REACHED)
    except ValueError:
        metadata = {}
    return check_tenant(tenant, answer.status_code, metadata if isinstance(metadata, dict) else {})
