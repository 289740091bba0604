"""Who deploys, and what they may do in Entra ID, as their access token says it. Pure but for `ask_account`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra import error_codes
from provisioning.entra.sign_in_settings import SIGN_IN, sign_in_settings
from provisioning.foreign import listed, quoted

ENOUGH = ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All")
"""Permissions of which one is needed; the first is the least."""

CONSENT = "DelegatedPermissionGrant.ReadWrite.All"

ADMINISTRATORS = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
}
"""Directory roles that may manage every application, by their ids, which are the same in every tenant."""

DEVELOPERS = {"cf1c38e5-3621-4004-a7cb-879624dced7d": "Application Developer"}
"""Directory roles that may register applications of their own."""

ACTIVATE = "a role that is only eligible has to be activated first (My roles), then sign in again."


@dataclass(frozen=True)
class Account:
    """Whoever is signed in.

    name: a user's sign-in name, an application's client id. application: whether it is one. granted: Graph permissions,
    an application's own or those that a user delegated. directory_roles: ids.
    """

    name: str
    object_id: str
    tenant_id: str
    application: bool
    granted: frozenset[str]
    directory_roles: frozenset[str] = frozenset()


def read_claims(token: str) -> dict[str, Any]:
    """What an access token or API key says of itself, {} if it is no JWT. Its signature is not looked at."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def account_of(claims: Mapping[str, Any]) -> Account:
    """Whose access token for Microsoft Graph it is."""
    application = claims.get("idtyp") == "app" or "scp" not in claims
    granted = claims.get("roles") or [] if application else str(claims["scp"]).split()
    user = claims.get("upn") or claims.get("unique_name") or claims.get("preferred_username")
    return Account(
        name=str(claims.get("appid") or claims.get("azp") if application else user or claims.get("oid")),
        object_id=str(claims.get("oid")),
        tenant_id=str(claims.get("tid")),
        application=application,
        granted=frozenset(map(str, granted)),
        directory_roles=frozenset(map(str, claims.get("wids") or [])),
    )


def check_account(account: Account, wanted_tenant: str | None, named_by: str = "ARM_TENANT_ID") -> Finding:
    """wanted_tenant: the tenant to sign in to, if any is named. named_by: the setting that names it."""
    kind = "application" if account.application else "user"
    said = f"{kind} {quoted(account.name)} in tenant {quoted(account.tenant_id)}"
    if wanted_tenant and wanted_tenant.lower() != account.tenant_id.lower():
        remedy = f"az login --tenant {wanted_tenant}, or correct {named_by}."
        return failed(f"{said}, but {named_by} names {wanted_tenant}", remedy)
    return ok(said, account)


def check_rights(account: Account, tenant_consent: bool, users_may_register: bool | None) -> Finding:
    """Whether `account` may do what a deployment does.

    tenant_consent: whether the program is to consent for the tenant. users_may_register: the tenant's setting for
    users without a role, None if it could not be read.
    """
    held = [name for name in ENOUGH if name in account.granted]
    if account.application:
        return _check_rights_of_application(account, held, tenant_consent)
    if not held and "Directory.AccessAsUser.All" not in account.granted:
        said = "this sign-in may not manage applications on the user's behalf"
        return failed(said, "Sign in by the Azure CLI: `az login --tenant <tenant id>`.")
    for known, what in ((ADMINISTRATORS, "may manage every application"), (DEVELOPERS, "may register applications")):
        named = [known[role] for role in known if role in account.directory_roles]
        if named and not (tenant_consent and known is DEVELOPERS):
            return ok(f"{named[0]}, {what}")
    if tenant_consent:
        remedy = f"Have an Application Administrator deploy, or `pulumi config set consent user`; {ACTIVATE}"
        return failed("consent is tenant, which takes an administrator's role", remedy)
    if users_may_register is None:
        said = "a user without an administrator's role; whether users may register applications could not be read"
        return warning(said, "If `pulumi up` is refused: have the role Application Developer assigned.")
    if not users_may_register:
        said = "a user without an administrator's role, and this tenant lets no user register applications"
        return failed(said, f"Have the role Application Developer (or Application Administrator) assigned; {ACTIVATE}")
    return ok("a user, who may register applications in this tenant")


def _check_rights_of_application(account: Account, held: list[str], tenant_consent: bool) -> Finding:
    portal = f"Entra ID → App registrations → {quoted(account.name)} → API permissions → Microsoft Graph, application"
    if not held:
        has = listed(sorted(account.granted)) or "no permission"
        return failed(
            f"the application has {has}; it needs {ENOUGH[0]}", f"{portal}: add {ENOUGH[0]}, then grant admin consent."
        )
    if tenant_consent and CONSENT not in account.granted:
        remedy = f"{portal}: add {CONSENT}, then grant admin consent; or `pulumi config set consent user`."
        return failed(f"consent is tenant, which takes {CONSENT}, too", remedy)
    return ok(", ".join(name for name in (*held, CONSENT) if name in account.granted))


def ask_account() -> Finding:
    """Who is signed in?"""
    # Seconds of imports.
    import httpx  # noqa: PLC0415
    from azure.core.exceptions import AzureError  # noqa: PLC0415

    from provisioning.entra import directory  # noqa: PLC0415

    try:
        token = directory.access_token()
    except AzureError as error:
        # The text names every way that was tried; of it only a code is repeated.
        why, remedy = error_codes.reason(str(error), deployer=True) or _without_a_code(error)
        return failed(why, sign_in_settings().by_origin(remedy or SIGN_IN))
    except httpx.HTTPError as error:
        host, named_by = sign_in_settings()["metadataHost"], sign_in_settings().origin("metadataHost")
        said = f"the cloud's endpoints cannot be read from {host} ({type(error).__name__})"
        return failed(said, f"Correct or unset {named_by}, and look whether its certificate is trusted here.")
    claims = read_claims(token)
    if not claims:
        return failed("the access token cannot be read", SIGN_IN)
    settings = sign_in_settings()
    return check_account(account_of(claims), settings.tenant, settings.origin("tenantId"))


def _without_a_code(error: Exception) -> tuple[str, str | None]:
    """What an error of azure-identity without an AADSTS code means."""
    if "authority configuration" in str(error):
        tenant, named_by = sign_in_settings().tenant, sign_in_settings().origin("tenantId")
        return f"Entra ID knows no tenant {tenant}", f"Correct {named_by}; Entra ID → Overview shows the tenant's ID."
    return "nobody is signed in, or nobody could be asked", None


def ask_rights(account: Account, tenant_consent: bool) -> Finding:
    """May they do what a deployment does?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports
    from provisioning.errors import DirectoryUnreadable  # noqa: PLC0415 - as above

    users_may_register = None
    if not account.application:
        try:
            users_may_register = directory.users_may_register()
        except DirectoryUnreadable:
            users_may_register = None
    return check_rights(account, tenant_consent, users_may_register)
