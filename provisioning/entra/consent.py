"""Who has to consent to an application's scopes in a tenant, its users or an administrator, and who has. Pure.

Source: Microsoft's pages "Manage app consent policies" (January 2026), "Configure how users consent to applications"
and "Grant tenant-wide admin consent to an application".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from provisioning.entra.registration import Grant
from provisioning.entra.scopes import NOT_BY_USERS
from provisioning.errors import ConsentExists
from provisioning.foreign import listed

FOR_THEMSELVES = "managepermissiongrantsforself."
"""How the assignment of a policy begins that lets users consent for themselves, in small letters."""

LEGACY, RECOMMENDED, LOW = (
    "microsoft-user-default-legacy",
    "microsoft-user-default-recommended",
    "microsoft-user-default-low",
)
"""Microsoft's own policies for users. The second is the default of new tenants, and Microsoft changes it."""

MAIL_CLIENTS = "microsoft-user-default-allow-consent-apps"
"""Microsoft's policy for some well-known mail clients, by their client ids; it is of no use to other applications."""

AFTERWARDS = (
    "Microsoft then opens the first redirect URI, with admin_consent=True in the address. NocoBase's page may show an "
    "error there, because no mailbox is being connected: the consent is given, unless the address says error="
)
"""What whoever opens the consent URL sees at the end. Source: Microsoft's page on the admin consent protocol."""

BY_THE_PROGRAM = "Or, for the stack's own tenant: pulumi config set consent tenant, then pulumi up."

EXPECT = "expect to need an administrator"


class Consenter(Enum):
    """Who has to consent."""

    USERS = "users"
    ADMINISTRATOR = "administrator"
    UNCLEAR = "unclear"
    """It depends on what nobody can see here, or could not be read."""


@dataclass(frozen=True)
class Rule:
    """Who has to consent in a tenant, and that in words, with the reason."""

    who: Consenter
    said: str


def rule(assigned: Iterable[str], scopes: Collection[str], assignment_required: bool = False) -> Rule:
    """Who has to consent to `scopes`.

    assigned: the tenant's `permissionGrantPoliciesAssigned`. assignment_required: whether the application's service
    principal lets in assigned users only; then no user can consent.
    """
    if assignment_required:
        return Rule(
            Consenter.ADMINISTRATOR, "an administrator has to consent: the application lets in assigned users only"
        )
    policies = {
        name.lower().removeprefix(FOR_THEMSELVES) for name in assigned if name.lower().startswith(FOR_THEMSELVES)
    }
    policies.discard(MAIL_CLIENTS)
    excluded = [scope for scope in scopes if scope in NOT_BY_USERS]
    if LEGACY in policies:
        return Rule(Consenter.USERS, "users of this tenant may consent themselves")
    if RECOMMENDED in policies and not excluded:
        return Rule(Consenter.USERS, "users of this tenant may consent to these scopes themselves")
    own = sorted(policies - {RECOMMENDED, LOW})
    if own:
        said = f"whether users may consent depends on the tenant's own policy ({listed(own)})"
        return Rule(Consenter.UNCLEAR, f"{said}; {EXPECT}")
    if LOW in policies:
        said = "users may consent to what the tenant calls low risk, which mail scopes seldom are"
        return Rule(Consenter.UNCLEAR, f"{said}; {EXPECT}")
    if RECOMMENDED in policies:
        said = f"an administrator has to consent: Microsoft's policy does not let users do so for {', '.join(excluded)}"
        return Rule(Consenter.ADMINISTRATOR, said)
    return Rule(Consenter.ADMINISTRATOR, "an administrator has to consent: this tenant lets no user do so")


def unread(reason: str) -> Rule:
    """The rule of a tenant whose policy could not be read."""
    return Rule(Consenter.UNCLEAR, f"whether users may consent themselves could not be read ({reason}); {EXPECT}")


STEP = (
    "An administrator of the users' tenant opens, once, the address that `pulumi stack output adminConsentUrl` prints. "
    f"{AFTERWARDS}."
)
"""What an administrator does. The address itself is wider than a terminal, and would be copied with what follows it."""


@dataclass(frozen=True)
class Given:
    """Who has consented to some scopes. missing: those without consent for everybody. said: all of it in words."""

    missing: tuple[str, ...]
    said: str


def given(scopes: Collection[str], grants: Iterable[Grant]) -> Given:
    """Who has consented to `scopes`, by name: NocoBase may have asked for Exchange Online's of the same name."""
    found = list(grants)
    everybody = {scope for grant in found if grant.everybody for scope in grant.scopes}
    missing = tuple(scope for scope in scopes if scope not in everybody)
    if not missing:
        return Given((), f"for everybody in the tenant: {', '.join(scopes)}")
    users = {scope: sum(not grant.everybody and scope in grant.scopes for grant in found) for scope in missing}
    kinds = {
        "for everybody": [scope for scope in scopes if scope in everybody],
        "by single users": [f"{scope} ({count})" for scope, count in users.items() if count],
        "by nobody yet": [scope for scope, count in users.items() if not count],
    }
    return Given(missing, "; ".join(f"{kind}: {', '.join(named)}" for kind, named in kinds.items() if named))


def reject_other_consent(scopes: Collection[str], present: Grant | None) -> None:
    """Raise ConsentExists if a consent for everybody is there and is not for just these scopes.

    Entra ID keeps one for each application and resource, and rejects a second one. present: that of Microsoft Graph.
    """
    if present is None or present.scopes == set(scopes):
        return
    lacking, more = (listed(sorted(found)) for found in (set(scopes) - present.scopes, present.scopes - set(scopes)))
    known = present.id if re.fullmatch("[A-Za-z0-9_-]+", present.id) else "<its id>"
    differences = [f"lacks {lacking}"] * bool(lacking) + [f"has {more} besides"] * bool(more)
    body = json.dumps({"scope": " ".join(scopes)})
    raise ConsentExists(
        f"The tenant has consented to this application already ({listed(sorted(present.scopes))}). That consent "
        f"{' and '.join(differences)}. With consent tenant, this program would add a second one, which Entra ID "
        "rejects. Nothing was changed. To leave it as it is: `pulumi config set consent user`. "
        + (f"Changing it takes {more} away. " if more else "")
        + f"To make it the declared one: `az rest --method PATCH --url {GRANTS}/{known} --body '{body}'`. "
        "Then run the command again."
    )


GRANTS = "https://graph.microsoft.com/v1.0/oauth2PermissionGrants"
"""Where Microsoft Graph keeps consents."""
