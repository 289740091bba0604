"""Does the sign-in link that NocoBase builds lead users to the stack's application and back? Pure functions."""

from __future__ import annotations

from collections.abc import Collection

from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra import audiences
from provisioning.entra.rules import Audience, accepts_redirect_uri
from provisioning.entra.scopes import SCOPE_IDS
from provisioning.foreign import listed, quoted
from provisioning.nocobase.sign_in_link import Accounts, SignIn, audience_mismatch
from provisioning.program.last_state import Push
from provisioning.status.differences import shown

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
    said = f"the link names {shown(link.redacted(link.client_id or ''))} instead of {client_id}"
    return failed(said, "pulumi up. If the link stays the same, restart NocoBase: environment variables may set it.")


def check_redirect_uri(link: SignIn, registered: Collection[str]) -> Finding:
    """Whether Entra ID sends users back to where NocoBase asks it to."""
    asked = link.redirect_uri or ""
    if any(accepts_redirect_uri(asked, known) for known in registered):
        return ok(quoted(link.redacted(asked)))
    named = quoted(link.redacted(asked)) if asked else "none"
    said = f"{named} is not registered in Entra ID, so a sign-in fails with AADSTS50011"
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
        return warning(said + listed(map(link.redacted, sorted(resources))), ASK_THE_MAKERS)
    undeclared = [name for name in names if name not in {*declared, *OPEN_ID, ".default"}]
    if undeclared:
        named = listed(map(link.redacted, undeclared))
        said = f"{named} is asked for and not declared, so an administrator's consent does not cover it"
        known = all(name in SCOPE_IDS for name in undeclared)
        return warning(said, "Add it to the setting scopes, then pulumi up." if known else ASK_THE_MAKERS)
    return ok(listed(map(link.redacted, names)))


def check_page(link: SignIn, audience: Audience, tenant_id: str | None) -> Finding:
    """Whether the sign-in page takes the accounts of the declared audience; see `entra.audiences`."""
    named = link.tenant
    if named is None:
        return failed("the link names no tenant", ASK_THE_MAKERS)
    nobody = audience_mismatch(link, Accounts(audience, tenant_id))
    if nobody is not None:
        return failed(*nobody)
    page = audiences.page_of(named, tenant_id)
    if page is None:
        # A tenant may be called by one of its domains, too.
        return warning(
            f"{quoted(link.redacted(named))}; whether that is {tenant_id} cannot be told",
            "Compare it in Entra ID → Overview.",
        )
    if not audiences.SERVES[audience][page].fewer:
        return ok(f"'{link.redacted(named)}' takes the accounts of the audience {audience}")
    fitting = audiences.ACCOUNTS_OF.get(page)
    remedy = f"If that is meant: pulumi config set audience {fitting}" if fitting else ASK_THE_MAKERS
    return warning(f"'{link.redacted(named)}' takes fewer accounts than the audience {audience}", remedy)
