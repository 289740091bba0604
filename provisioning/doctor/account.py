"""Who deploys, and what they may do in Entra ID, as their access token says it. Pure but for `ask_account`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress

from provisioning.doctor.runner import Finding, Outcome, failed, ok, warning
from provisioning.entra import error_codes
from provisioning.entra.account import (
    CHANGE_ANY,
    CHANGE_OWN,
    Account,
    account_of,
    depends_on_people,
    read_claims,
    why_may_not_add_owners,
)
from provisioning.entra.sign_in_settings import NAMESPACE, SIGN_IN, sign_in_settings
from provisioning.errors import DirectoryUnreadable
from provisioning.foreign import listed, quoted
from provisioning.unanswered import why_unanswered

ENOUGH = (CHANGE_OWN, *CHANGE_ANY)
"""Permissions of which one is needed; the first is the least."""

CONSENT = ("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All")
"""Permissions of which one is needed to consent for the tenant; the first is the least."""

ADMINISTRATORS = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
}
"""Directory roles that may manage every application, by their ids, which are the same in every tenant."""

CONSENTERS = {"e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator"}
"""Directory roles besides that may consent for the tenant, and may not manage applications."""

DEVELOPERS = {"cf1c38e5-3621-4004-a7cb-879624dced7d": "Application Developer"}
"""Directory roles that may register applications of their own."""

ACTIVATE = "a role that is only eligible has to be activated first (My roles), then sign in again."


def check_account(account: Account, wanted_tenant: str | None, named_by: str = "ARM_TENANT_ID") -> Finding:
    """wanted_tenant: the tenant to sign in to, if any is named. named_by: the setting that names it."""
    kind = "application" if account.application else "user"
    said = f"{kind} {quoted(account.name)} in tenant {quoted(account.tenant_id)}"
    if wanted_tenant and wanted_tenant.lower() != account.tenant_id.lower():
        remedy = f"az login --tenant {wanted_tenant}, or correct {named_by}."
        return failed(f"{said}, but {named_by} names {wanted_tenant}", remedy)
    return ok(said, account)


def check_rights(
    account: Account,
    tenant_consent: bool,
    users_may_register: bool | None,
    owners: Collection[str] = (),
    people: Collection[str] = (),
) -> Finding:
    """Whether `account` may do what a deployment does.

    tenant_consent: whether the program is to consent for the tenant. users_may_register: the tenant's setting for
    users without a role, None if it could not be read. owners: the setting. people: those of
    the owners who are known to be users.
    """
    held = [name for name in ENOUGH if name in account.granted]
    if account.application:
        return _check_rights_of_application(account, held, tenant_consent, owners, people)
    if not held and "Directory.AccessAsUser.All" not in account.granted:
        said = "this sign-in may not manage applications on the user's behalf"
        return failed(said, "Sign in by the Azure CLI: `az login --tenant <tenant id>`.")
    administrators = _named(ADMINISTRATORS, account)
    if administrators:
        return ok(f"{administrators[0]}, may manage every application")
    consenters, developers = _named(CONSENTERS, account), _named(DEVELOPERS, account)
    if tenant_consent and not consenters:
        remedy = f"Have an Application Administrator deploy, or `pulumi config set consent user`; {ACTIVATE}"
        return failed("consent is tenant, which takes an administrator's role", remedy)
    also = f"{consenters[0]}, may consent for the tenant; " if tenant_consent else ""
    if developers:
        return ok(f"{also}{developers[0]}, may register applications")
    if users_may_register is None:
        said = f"{also}a user without a role for applications; whether users may register some could not be read"
        return warning(said, "If `pulumi up` is refused: have the role Application Developer assigned.")
    if not users_may_register:
        said = f"{also}a user without a role for applications, and this tenant lets no user register some"
        return failed(said, f"Have the role Application Developer (or Application Administrator) assigned; {ACTIVATE}")
    return ok(f"{also}a user, who may register applications in this tenant")


def _named(roles: Mapping[str, str], account: Account) -> list[str]:
    return [name for role, name in roles.items() if role in account.directory_roles]


def _check_rights_of_application(
    account: Account, held: list[str], tenant_consent: bool, owners: Collection[str], people: Collection[str]
) -> Finding:
    portal = f"Entra ID → App registrations → {quoted(account.name)} → API permissions → Microsoft Graph, application"
    if not held:
        has = listed(sorted(account.granted)) or "no permission"
        return failed(
            f"the application has {has}; it needs {ENOUGH[0]}", f"{portal}: add {ENOUGH[0]}, then grant admin consent."
        )
    if tenant_consent and account.granted.isdisjoint(CONSENT):
        remedy = f"{portal}: add {CONSENT[0]}, then grant admin consent; or `pulumi config set consent user`."
        return failed(f"consent is tenant, which takes {CONSENT[0]}, too", remedy)
    has = ", ".join(name for name in dict.fromkeys((*held, *CONSENT)) if name in account.granted)
    missing = why_may_not_add_owners(account, owners, people)
    return warning(f"{has}; {missing[0]}", f"{portal}: {missing[1]}") if missing else ok(has)


def check_last_sign_in(signed_in: Finding, recorded: Mapping[str, object], configured: Mapping[str, str]) -> Finding:
    """`signed_in`, or a warning that the refresh of the next run signs in otherwise.

    recorded: what the configuration said in the last run, by the provider's keys. configured: what it says now, by
    whole keys.
    """
    keys = sorted(
        key for key in recorded.keys() | {key.partition(":")[2] for key in configured} if OF_ACCOUNT.match(key)
    )
    given = {key: configured.get(f"{NAMESPACE}:{key}", "") for key in keys}
    known = {key: recorded.get(key, "") for key in keys}
    changed = [f"{NAMESPACE}:{key}" for key in keys if known[key] is not None and str(known[key]) != given[key]]
    if signed_in.outcome is not Outcome.OK or not changed:
        return signed_in
    said = f"{signed_in.said}; the last run signed in otherwise ({', '.join(changed)}), and the refresh still does"
    return warning(said, SIGN_IN_ANEW, signed_in.value)


OF_ACCOUNT = re.compile("tenantId|client|oidc|ado")
"""How the provider's keys begin that say who signs in, and where."""

SIGN_IN_ANEW = (
    "If that sign-in has ended, pulumi up fails: run `pulumi up --run-program` once, which takes the new one."
)


def ask_account() -> Finding:
    """Who is signed in?"""
    # Seconds of imports.
    import httpx  # noqa: PLC0415
    from azure.core.exceptions import AzureError  # noqa: PLC0415

    from provisioning.entra import microsoft_graph  # noqa: PLC0415

    try:
        token = microsoft_graph.access_token()
    except AzureError as error:
        # The text names every way that was tried; of it only a code is repeated.
        why, remedy = error_codes.reason(str(error), deployer=True) or _without_a_code(error)
        return failed(why, sign_in_settings().by_origin(remedy or SIGN_IN))
    except httpx.HTTPError as error:
        host, named_by = sign_in_settings()["metadataHost"], sign_in_settings().origin("metadataHost")
        said = f"the cloud's endpoints cannot be read from {host} ({why_unanswered(error)})"
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


def ask_rights(account: Account, tenant_consent: bool, owners: Collection[str] = ()) -> Finding:
    """May they do what a deployment does?"""
    from provisioning.entra import directory  # noqa: PLC0415 - seconds of imports

    users_may_register = None
    if not account.application:
        try:
            users_may_register = directory.users_may_register()
        except DirectoryUnreadable:
            users_may_register = None
    people: Collection[str] = ()
    if depends_on_people(account, owners):
        with suppress(DirectoryUnreadable):
            people = directory.people(owners)
    return check_rights(account, tenant_consent, users_may_register, owners, people)
