"""The chain of a sign-in, link by link: what the answers to `verify`'s questions mean. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from provisioning.doctor.runner import Finding, failed, ok, warning
from provisioning.entra.registration import Declared, Grant, Registration, differences
from provisioning.entra.rules import Audience
from provisioning.entra.scopes import SCOPE_IDS
from provisioning.errors import DirectoryUnreadable
from provisioning.nocobase.push import SignIn
from provisioning.program.last_state import Deployed, KnownSecret, Push
from provisioning.status.compare import day, row_differences, shown
from provisioning.status.read import HeldRow

if TYPE_CHECKING:
    from provisioning.entra.token_check import Rejection

PUT_BACK = "pulumi up --refresh"
"""Looks at what is there, and puts back what is declared."""

OPEN_ID = {"openid", "profile", "email", "offline_access"}
"""Scopes of the sign-in itself, which belong to no resource. Source: Microsoft's page "Scopes and permissions"."""

ASK_THE_MAKERS = "This comes from what NocoBase requests: update the email manager, or ask its makers."

GRAPH = "https://graph.microsoft.com"


def judge_application(declared: Declared, found: Registration | None) -> Finding:
    """Whether the application is there, for the declared audience."""
    if found is None:
        return failed("it is not in Entra ID any more", PUT_BACK)
    wrong = _wrong(declared, found, "display_name", "audience")
    return failed(wrong, PUT_BACK) if wrong else ok(f"{found.display_name}, client id {found.client_id}", found)


def judge_permissions(declared: Declared, found: Registration) -> Finding:
    """Whether Entra ID has the declared permissions and no others."""
    wrong = _wrong(declared, found, "permissions")
    return failed(wrong, PUT_BACK) if wrong else ok(", ".join(sorted(map(str, found.permissions))))


def judge_redirect_uris(declared: Declared, found: Registration) -> Finding:
    """Whether Entra ID has the declared redirect URIs and no others."""
    wrong = _wrong(declared, found, "redirect_uris")
    return failed(wrong, PUT_BACK) if wrong else ok(", ".join(sorted(found.redirect_uris)))


def _wrong(declared: Declared, found: Registration, *fields: str) -> str:
    """How Entra ID's application differs from the declared one in these fields; empty if it does not."""
    names = ("display_name", "audience", "redirect_uris", "permissions")
    wanted = Declared(**{name: getattr(declared if name in fields else found, name) for name in names})
    return "; ".join(differences(wanted, found))


def judge_principal(found: str | None) -> Finding:
    """found: the object id of the service principal."""
    if found is None:
        return failed("there is none in this tenant, so every sign-in fails with AADSTS7000229", PUT_BACK)
    return ok("there", found)


def judge_secrets(asked: Iterable[tuple[KnownSecret, Rejection | None]]) -> Finding:
    """Whether the token endpoint accepts the secrets in use."""
    answers = list(asked)
    if not answers:
        return failed("no client secret in the state is in use by a NocoBase", "pulumi up")
    for secret, refusal in answers:
        if refusal is not None:
            said = f"the token endpoint does not accept the one in slot {secret.slot} ({refusal.reason})"
            return failed(said, refusal.remedy)
    return ok(
        "; ".join(f"the token endpoint accepts slot {secret.slot}, until {day(secret.ends)}" for secret, _ in answers)
    )


def judge_row(state: Deployed, push: Push, row: HeldRow) -> Finding:
    """Whether NocoBase holds what it was given."""
    wrong = row_differences(state, push, row)
    if wrong:
        return failed(f"{push.target}: {'; '.join(wrong)}", "pulumi up")
    hidden = " (which it hides)" if row.client_secret is None else ""
    return ok(f"{push.target} holds this client id and the secret of slot {push.slot}{hidden}")


def judge_link(push: Push, link: SignIn) -> Finding:
    """Whether NocoBase can build a sign-in link at all."""
    if link.client_id is None:
        said = f"{push.target} builds none, as long as client ID or secret is missing there"
        return failed(said, "pulumi up")
    return ok(f"{push.target} builds one", link)


def judge_link_client(link: SignIn, client_id: str) -> Finding:
    """Whether users sign in to this very application."""
    if link.client_id == client_id:
        return ok(client_id)
    said = f"the link names {shown(link.client_id or '')} instead of {client_id}"
    return failed(
        said, "pulumi up. If it goes on, restart NocoBase: it may have been set up with environment variables."
    )


def judge_link_redirect(link: SignIn, registered: Collection[str]) -> Finding:
    """Whether Entra ID sends users back to where NocoBase asks it to."""
    if link.redirect_uri in registered:
        return ok(link.redirect_uri or "")
    said = f"{link.redirect_uri or 'none'} is not registered in Entra ID, so a sign-in fails with AADSTS50011"
    return failed(
        said, "Set nocobaseUrl to the address that users see, or add this one to redirectUris; then pulumi up."
    )


def judge_link_scopes(link: SignIn, declared: Collection[str]) -> Finding:
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


def judge_link_tenant(link: SignIn, audience: Audience, tenant_id: str | None) -> Finding:
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


def judge_consent(
    scopes: Collection[str], grants: Iterable[Grant], audience: Audience, declared: bool, url: str
) -> Finding:
    """Who has consented to what. declared: whether the program itself consents for the whole tenant."""
    if audience is Audience.PERSONAL:
        return ok("each user consents at the first sign-in: there is no administrator of personal accounts")
    given = list(grants)
    everybody = {scope for grant in given if grant.everybody for scope in grant.scopes}
    # Declared is Microsoft Graph's permission; NocoBase may have asked for Exchange Online's of the same name.
    missing = [scope for scope in scopes if scope not in everybody]
    if not missing:
        return ok(f"for everybody in the tenant: {', '.join(scopes)}")
    users = {scope: sum(not grant.everybody and scope in grant.scopes for grant in given) for scope in missing}
    kinds = {
        "for everybody": [scope for scope in scopes if scope in everybody],
        "by single users": [f"{scope} ({count})" for scope, count in users.items() if count],
        "by nobody yet": [scope for scope, count in users.items() if not count],
    }
    said = "; ".join(f"{kind}: {', '.join(listed)}" for kind, listed in kinds.items() if listed)
    if declared:
        return failed(f"consent is declared for the tenant, and missing: {said}", PUT_BACK)
    return warning(said, f"If users are asked for an administrator's approval, one opens {url}")


def judge_unreadable_consent(error: DirectoryUnreadable, url: str) -> Finding:
    """Consent could not be read, which neither the deployment nor mail needs."""
    said = f"it could not be read who has consented ({error.reason})"
    return warning(said, f"To see it: grant Directory.Read.All. To give it for all, an administrator opens {url}")
