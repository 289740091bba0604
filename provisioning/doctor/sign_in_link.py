"""Does the sign-in link that NocoBase builds lead users to the stack's application and back? Pure functions."""

from __future__ import annotations

from collections.abc import Collection

from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra.rules import Audience
from provisioning.entra.scopes import SCOPE_IDS
from provisioning.nocobase.push import SignIn
from provisioning.program.last_state import Push
from provisioning.status.compare import shown

OPEN_ID = {"openid", "profile", "email", "offline_access"}
"""Scopes of the sign-in itself, which belong to no resource. Source: Microsoft's page "Scopes and permissions"."""

ASK_THE_MAKERS = "This comes from what NocoBase requests: update the email manager, or ask its makers."

GRAPH = "https://graph.microsoft.com"


def check_link(push: Push, link: SignIn) -> Finding:
    """Whether NocoBase can build a sign-in link at all."""
    if link.client_id is None:
        said = f"{push.target} builds none, as long as client ID or secret is missing there"
        return failed(said, "pulumi up")
    return ok(f"{push.target} builds one", link)


def check_client_id(link: SignIn, client_id: str) -> Finding:
    """Whether users sign in to this very application."""
    if link.client_id == client_id:
        return ok(client_id)
    said = f"the link names {shown(link.client_id or '')} instead of {client_id}"
    return failed(said, "pulumi up. If the link stays the same, restart NocoBase: environment variables may set it.")


def check_redirect_uri(link: SignIn, registered: Collection[str]) -> Finding:
    """Whether Entra ID sends users back to where NocoBase asks it to."""
    if link.redirect_uri in registered:
        return ok(link.redirect_uri or "")
    said = f"{link.redirect_uri or 'none'} is not registered in Entra ID, so a sign-in fails with AADSTS50011"
    return failed(
        said, "Set nocobaseUrl to the address that users see, or add this one to redirectUris; then pulumi up."
    )


def check_scopes(link: SignIn, declared: Collection[str]) -> Finding:
    """Whether NocoBase asks for what is declared. declared: names of Microsoft Graph's delegated permissions."""
    split = [scope.rpartition("/") for scope in link.scopes]
    names = [name for _, _, name in split]
    resources = {resource.rstrip("/") or GRAPH for resource, _, name in split if resource or name not in OPEN_ID}
    if "offline_access" not in names:
        return failed("offline_access is not asked for, so mail stops about an hour after each sign-in", ASK_THE_MAKERS)
    if len(resources) > 1:
        said = f"scopes of {len(resources)} resources at once, for which tokens may be refused with AADSTS70011: "
        return warning(said + ", ".join(sorted(resources)), ASK_THE_MAKERS)
    undeclared = [name for name in names if name not in {*declared, *OPEN_ID, ".default"}]
    if undeclared:
        said = f"{', '.join(undeclared)} is asked for and not declared, so an administrator's consent does not cover it"
        known = all(name in SCOPE_IDS for name in undeclared)
        return warning(said, "Add it to the setting scopes, then pulumi up." if known else ASK_THE_MAKERS)
    return ok(", ".join(names))


RIGHT_PAGES = {
    Audience.ANY_TENANT: ("organizations", "common"),
    Audience.ANY_TENANT_AND_PERSONAL: ("common",),
    Audience.PERSONAL: ("consumers",),
}
"""Whose accounts the sign-in page must be for; with one tenant it is that tenant's own page.

Source: Microsoft's pages "Supported account types" and "OAuth 2.0 authorization code flow".
"""

FITTING = {
    "common": Audience.ANY_TENANT_AND_PERSONAL,
    "organizations": Audience.ANY_TENANT,
    "consumers": Audience.PERSONAL,
}
"""The audience for which a general sign-in page is right."""


def check_page(link: SignIn, audience: Audience, tenant_id: str | None) -> Finding:
    """Whether the sign-in page takes the accounts of the declared audience."""
    page = link.tenant
    if page is None:
        return failed("the link names no tenant", ASK_THE_MAKERS)
    right = RIGHT_PAGES.get(audience, (tenant_id,))
    if page in right:
        return ok(f"'{page}' takes the accounts of the audience {audience}")
    refused = _refused_page(page, audience)
    if refused is not None:
        fitting = FITTING.get(page, Audience.ONE_TENANT)
        return failed(
            f"'{page}', but {refused}",
            f"pulumi config set audience {fitting}, then pulumi up; or have NocoBase use '{right[0]}'.",
        )
    if audience is Audience.ONE_TENANT:
        # A tenant may be called by one of its domains, too.
        return warning(f"'{page}'; whether that is {tenant_id} cannot be told", "Compare it in Entra ID → Overview.")
    said = f"'{page}' takes fewer accounts than the audience {audience}"
    return warning(said, f"If that is meant: pulumi config set audience {FITTING.get(page, Audience.ONE_TENANT)}")


def _refused_page(page: str, audience: Audience) -> str | None:
    """Why a sign-in at `page` fails for an application of `audience`; None if it does not."""
    if audience is Audience.ONE_TENANT and page in FITTING:
        return "the application is for one tenant only: AADSTS50194"
    if audience is Audience.PERSONAL:
        return "the application is for personal accounts only, whose page is 'consumers'"
    if audience is Audience.ANY_TENANT and page == "consumers":
        return "the application is for accounts of organizations only"
    return None
