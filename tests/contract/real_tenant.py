"""The way to a real tenant, for `--tenant real`: credentials and addresses from the environment.

Credentials: ARM_TENANT_ID, ARM_CLIENT_ID and ARM_CLIENT_SECRET as the azuread provider reads them; without a client ID
and secret, whoever is signed in (`az login`), by azure-identity's DefaultAzureCredential.
Addresses: the public cloud's, or those that the cloud at ARM_METADATA_HOSTNAME names.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from tests.contract.tenant import Access

PATIENCE, PAUSE = 120.0, 2.0
"""Seconds. A new secret takes up to 18 s; how long a removed one is still taken was not measured."""

LOOKS = "TENANT_TEST_LOOKS"
"""The environment variable that says how often a new secret is asked about after it was accepted, a pause apart."""

MANY_LOOKS = "30"
"""The default: a minute."""

SOMEBODY = "TENANT_TEST_USER"
"""The environment variable with the object id of a user who may be named an owner of an application of the tests."""


class NoCredentialsError(Exception):
    """Nobody to sign in as; the message says what to do."""


class WrongTenantError(Exception):
    """The credentials belong to another tenant than the environment names."""


@dataclass(frozen=True)
class Cloud:
    """Base addresses without a slash at the end. public: whether it is Microsoft's own public cloud."""

    graph: str = "https://graph.microsoft.com"
    login: str = "https://login.microsoftonline.com"
    public: bool = True


def cloud(environment: Mapping[str, str], tls: ssl.SSLContext) -> Cloud:
    """The cloud that the environment names. Raises httpx.HTTPError if it cannot be asked."""
    host = environment.get("ARM_METADATA_HOSTNAME")
    if not host:
        return Cloud()
    address = f"https://{host}/metadata/endpoints?api-version=2022-09-01"
    metadata = httpx.get(address, verify=tls).raise_for_status().json()
    login = metadata["authentication"]["loginEndpoint"].rstrip("/")
    return Cloud(metadata["microsoftGraphResourceId"].rstrip("/"), login, public=False)


def credential(environment: Mapping[str, str], chosen: Cloud) -> ClientSecretCredential | DefaultAzureCredential:
    """Who signs in. Raises NoCredentialsError if the environment names a client only in part."""
    names = ("ARM_TENANT_ID", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET")
    given = [environment.get(name, "") for name in names]
    if any(given[1:]):
        missing = [name for name, value in zip(names, given, strict=True) if not value]
        if missing:
            raise NoCredentialsError(f"{', '.join(missing)} is not set, so there is nobody to sign in as.")
        tenant_id, client_id, secret = given
        return ClientSecretCredential(
            tenant_id, client_id, secret, authority=chosen.login, disable_instance_discovery=not chosen.public
        )
    # A managed identity is looked for at an address of the local network, and is nobody's login.
    return DefaultAzureCredential(authority=chosen.login, exclude_managed_identity_credential=True)


def access(environment: Mapping[str, str], interactive: bool = False) -> Access:
    """Sign in. interactive: whether a person is there.

    Raises NoCredentialsError, WrongTenantError, or ClientAuthenticationError if the client is refused.
    """
    tls = ssl.create_default_context(cafile=environment.get("SSL_CERT_FILE"))
    chosen = cloud(environment, tls)
    signed_in = credential(environment, chosen)
    scope = f"{chosen.graph}/.default"
    try:
        claims = claims_of(signed_in.get_token(scope).token)
    except ClientAuthenticationError:
        if not isinstance(signed_in, DefaultAzureCredential):
            raise
        raise NoCredentialsError(
            "No credentials for a real tenant: set ARM_TENANT_ID, ARM_CLIENT_ID and ARM_CLIENT_SECRET, or `az login`."
        ) from None
    asked = environment.get("ARM_TENANT_ID") or claims["tid"]
    if asked != claims["tid"]:
        raise WrongTenantError(f"ARM_TENANT_ID is {asked}, but the credentials belong to {claims['tid']}.")
    return Access(
        graph=chosen.graph,
        login=chosen.login,
        tenant_id=claims["tid"],
        caller=claims["oid"],
        bearer=lambda: signed_in.get_token(scope).token,
        tls=tls,
        patience=PATIENCE,
        pause=PAUSE,
        looks=int(environment.get(LOOKS, MANY_LOOKS)),
        kind="user" if "scp" in claims else "app",
        rights=rights(claims),
        somebody=environment.get(SOMEBODY),
        interactive=interactive,
    )


def rights(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the permissions in an access token, delegated or an application's."""
    return tuple(sorted([*str(claims.get("scp", "")).split(), *claims.get("roles", [])]))


def claims_of(token: str) -> dict[str, Any]:
    """The claims of an access token, unverified: only to learn the caller."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
