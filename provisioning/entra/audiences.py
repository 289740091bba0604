"""Which sign-in page serves which audience: one table, for the push, `status`, `doctor`, `init` and `adopt`. Pure.

A sign-in link names whose accounts its page is for: a tenant, or `common`, `organizations`, `consumers`. An application
whose audience that page does not take lets nobody in, however right everything else is. The same table for people is in
docs/audiences.md. Source: Microsoft's pages "Supported account types", "OAuth 2.0 authorization code flow" and
"Microsoft Entra authentication and authorization error codes".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from provisioning.entra.rules import Audience

COMMON, ORGANIZATIONS, CONSUMERS = "common", "organizations", "consumers"

USED_BY_NOCOBASE = COMMON
"""The sign-in page of NocoBase 2's email manager, which has no setting for it."""


class Page(StrEnum):
    """A sign-in page, by the accounts that it takes. The value names it in sentences."""

    COMMON = "common"
    ORGANIZATIONS = "organizations"
    CONSUMERS = "consumers"
    OWN_TENANT = "the application's tenant"
    OTHER_TENANT = "another tenant"


@dataclass(frozen=True)
class Service:
    """What becomes of the accounts of an audience at a page.

    nobody: why none of them can sign in; None if they can. fewer: whether only some of them can.
    """

    nobody: str | None = None
    fewer: bool = False


EVERYBODY = Service()
SOME = Service(fewer=True)
ONE_TENANT_ONLY = Service("the application is for one tenant only: AADSTS50194")
NOT_IN_THAT_TENANT = Service("the application is not in that tenant: AADSTS700016")
ORGANIZATIONS_ONLY = Service("the application is for accounts of organizations only: AADSTS9002332")

SERVES: dict[Audience, dict[Page, Service]] = {
    Audience.ONE_TENANT: {
        Page.COMMON: ONE_TENANT_ONLY,
        Page.ORGANIZATIONS: ONE_TENANT_ONLY,
        Page.CONSUMERS: ONE_TENANT_ONLY,
        Page.OWN_TENANT: EVERYBODY,
        Page.OTHER_TENANT: NOT_IN_THAT_TENANT,
    },
    Audience.ANY_TENANT: {
        Page.COMMON: EVERYBODY,
        Page.ORGANIZATIONS: EVERYBODY,
        Page.CONSUMERS: ORGANIZATIONS_ONLY,
        Page.OWN_TENANT: SOME,
        Page.OTHER_TENANT: SOME,
    },
    Audience.ANY_TENANT_AND_PERSONAL: {
        Page.COMMON: EVERYBODY,
        Page.ORGANIZATIONS: SOME,
        Page.CONSUMERS: SOME,
        Page.OWN_TENANT: SOME,
        Page.OTHER_TENANT: SOME,
    },
    Audience.PERSONAL: {
        Page.COMMON: Service("the application is for personal accounts only: AADSTS9002331"),
        Page.ORGANIZATIONS: Service("the application is for personal accounts only: AADSTS9002346"),
        Page.CONSUMERS: EVERYBODY,
        Page.OWN_TENANT: Service("the application is for personal accounts only: AADSTS9002346"),
        Page.OTHER_TENANT: Service("the application is for personal accounts only: AADSTS9002346"),
    },
}
"""Audience → page → what becomes of its accounts there."""

WIDER = {
    Audience.ONE_TENANT: (Audience.ANY_TENANT, Audience.ANY_TENANT_AND_PERSONAL),
    Audience.ANY_TENANT: (Audience.ANY_TENANT_AND_PERSONAL,),
    Audience.ANY_TENANT_AND_PERSONAL: (),
    Audience.PERSONAL: (Audience.ANY_TENANT_AND_PERSONAL,),
}
"""The audiences that have all accounts of an audience, and more; the smallest first."""

ACCOUNTS_OF = {
    Page.ORGANIZATIONS: Audience.ANY_TENANT,
    Page.CONSUMERS: Audience.PERSONAL,
    Page.OWN_TENANT: Audience.ONE_TENANT,
}
"""The audience that has just the accounts that a page takes."""


def page_of(authority: str, tenant_id: str | None) -> Page | None:
    """The page of a link's `authority`; None for a domain, which may be of any tenant. tenant_id: the application's."""
    if authority in (Page.COMMON, Page.ORGANIZATIONS, Page.CONSUMERS):
        return Page(authority)
    try:
        named, own = UUID(authority), UUID(tenant_id or "")
    except ValueError:
        return None
    return Page.OWN_TENANT if named == own else Page.OTHER_TENANT


def authority_for(audience: Audience, tenant_id: str | None) -> str:
    """What a link has to name so that all accounts of `audience` can sign in."""
    if audience is Audience.ONE_TENANT:
        return tenant_id or "the tenant's ID"
    return {Audience.ANY_TENANT: ORGANIZATIONS, Audience.PERSONAL: CONSUMERS}.get(audience, COMMON)


def smallest_served(audience: Audience, page: Page) -> Audience | None:
    """The smallest audience with all accounts of `audience` that `page` takes; None if there is none."""
    return next((wider for wider in (audience, *WIDER[audience]) if SERVES[wider][page] == EVERYBODY), None)


def mismatch(authority: str, audience: str, tenant_id: str | None) -> tuple[str, str] | None:
    """Why nobody of `audience` can sign in by a link to `authority`, and the remedy; None if that is not so.

    The remedy widens no further than it must. audience: as Entra ID writes it; nothing is said of one that is unknown.
    """
    page = page_of(authority, tenant_id)
    if page is None or audience not in list(Audience):
        return None
    declared = Audience(audience)
    nobody = SERVES[declared][page].nobody
    if nobody is None:
        return None
    why = f"its sign-in link is for '{authority}', where nobody of audience {declared} can sign in ({nobody})"
    remedy = f"Have NocoBase use '{authority_for(declared, tenant_id)}', if its email manager lets you."
    wider = smallest_served(declared, page)
    if wider is not None:
        remedy += f" Otherwise {wider} is the smallest audience for '{authority}': pulumi config set audience {wider}"
    return why, remedy


def warning_for_nocobase(audience: str, tenant_id: str | None = None, authority: str | None = None) -> str | None:
    """What to say before an audience is chosen that NocoBase's sign-in link does not serve; None if it does.

    authority: what the link names; where it was not asked, NocoBase 2 is assumed.
    """
    found = mismatch(authority or USED_BY_NOCOBASE, audience, tenant_id)
    return (
        None
        if found is None
        else (f"{'This NocoBase' if authority else 'NocoBase 2'} does not serve this audience: {found[0]}. {found[1]}")
    )
