"""The sign-in page: who gets past it, by the application's audience, the page's authority and the account. Pure.

Written by Microsoft's pages "Supported account types" and "Microsoft Entra authentication and authorization error
codes", and by public threads; not recorded.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sandbox.entra import identity, token_errors
from sandbox.entra.token_errors import TokenError

Json = dict[str, Any]

ONE_TENANT, ORGANIZATIONS_ONLY = "AzureADMyOrg", "AzureADMultipleOrgs"
PERSONAL_ONLY = "PersonalMicrosoftAccount"

SHARED = ("common", "organizations", "consumers")
"""The authorities that are no tenant."""

PERSONAL_DOMAINS = frozenset({"outlook.com", "hotmail.com", "live.com"})


class Account(StrEnum):
    """Where an account is from."""

    TENANT = "this tenant"
    ORGANIZATION = "another organization"
    PERSONAL = "nowhere: a personal Microsoft account"


def account(login_hint: str) -> Account:
    """Where the account of that name is from; without a name, from this tenant."""
    domain = login_hint.rpartition("@")[2].lower()
    if domain in PERSONAL_DOMAINS:
        return Account.PERSONAL
    return Account.TENANT if domain in ("", identity.TENANT_DOMAIN) else Account.ORGANIZATION


def why_no_page(application: Json, authority: str) -> TokenError | None:
    """Why the page of `authority` is not shown for the application. authority: as in the address of the page."""
    audience, client_id = application["signInAudience"], str(application["appId"])
    name, shared = str(application["displayName"]), authority in SHARED
    if audience == PERSONAL_ONLY and authority != "consumers":
        number = 9002331 if authority == "common" else 9002346
        return token_errors.personal_accounts_only(number, client_id, name)
    if audience == ONE_TENANT and shared:
        return token_errors.one_tenant_only(client_id, name)
    if audience == ORGANIZATIONS_ONLY and authority == "consumers":
        return token_errors.organizations_only(client_id, name)
    return None


def why_not_signed_in(application: Json, authority: str, who: Account) -> TokenError | None:
    """Why an account does not get past the page that is shown."""
    personal = who is Account.PERSONAL
    if personal and application["signInAudience"] == ORGANIZATIONS_ONLY and authority == "common":
        return token_errors.personal_account_rejected()
    taken_here = {
        "common": True,
        "organizations": not personal,
        "consumers": personal,
    }.get(authority, who is Account.TENANT)
    return None if taken_here else token_errors.account_not_in_tenant(authority)
