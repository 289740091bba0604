"""What a person's browser meets at Entra ID: the sign-in page with a user's consent, and the consent URL.

Whoever opens the first is the account of `login_hint`, else one user of the tenant; whoever opens the second is its
administrator; nobody is asked for a password. The code that the first gives cannot be redeemed. Sources: https://learn.microsoft.com/entra/identity-platform
(`v2-oauth2-auth-code-flow`, `v2-admin-consent`, `reply-url`) and .../enterprise-apps/manage-app-consent-policies.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.entra import identity, policies, sign_in, token_errors, tokens
from sandbox.entra.directory import Directory
from sandbox.entra.rules import LOOPBACK
from sandbox.entra.token_errors import TokenError

Json = dict[str, Any]

USER = min(identity.PEOPLE)
"""Who signs in."""

SIGN_IN_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
"""Scopes that take no consent of their own here."""


class Browser:
    """The pages."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def routes(self) -> list[Route]:
        """All of them need no token."""
        return [
            Route("/{tenant}/oauth2/v2.0/authorize", self.sign_in),
            Route("/{tenant}/adminconsent", self.administrator_consents),
        ]

    async def sign_in(self, request: Request) -> Response:
        """A user signs in and consents, if the tenant lets them; back to the redirect URI with a code."""
        asked = request.query_params
        try:
            application, principal = self._client(request, asked.get("client_id", ""))
            self._check_audience(application, request.path_params["tenant"], asked.get("login_hint", ""))
            uri = asked.get("redirect_uri", "")
            registered = application["web"]["redirectUris"]
            if not any(same_redirect_uri(uri, known) for known in registered):
                raise token_errors.redirect_uri_mismatch(uri, application["appId"])
            if principal["appRoleAssignmentRequired"]:
                raise token_errors.not_assigned(USER, application["appId"])
            self._consent(principal, names(asked.get("scope", "").split()))
        except TokenError as error:
            return page(error)
        state = {"state": asked["state"]} if "state" in asked else {}
        return back(uri, {"code": randomness.token_urlsafe(32), **state})

    async def administrator_consents(self, request: Request) -> Response:
        """An administrator consents to all that the application declares; back to the first redirect URI."""
        try:
            application, principal = self._client(request, request.query_params.get("client_id", ""))
            uri = request.query_params.get("redirect_uri") or next(iter(application["web"]["redirectUris"]), "")
            if not uri:
                raise token_errors.no_reply_address(application["appId"])
        except TokenError as error:
            return page(error)
        for resource in application["requiredResourceAccess"]:
            self._grant_everybody(principal, resource)
        return back(uri, {"admin_consent": "True", "tenant": identity.TENANT_ID})

    @staticmethod
    def _check_audience(application: Json, authority: str, login_hint: str) -> None:
        who = sign_in.account(login_hint)
        refused = sign_in.why_no_page(application, authority) or sign_in.why_not_signed_in(application, authority, who)
        if refused is not None:
            raise refused

    def _client(self, request: Request, client_id: str) -> tuple[Json, Json]:
        tenant = request.path_params["tenant"]
        if tenant not in (*tokens.TENANT_NAMES, *sign_in.SHARED):
            raise token_errors.unknown_tenant(tenant)
        application = self.directory.by_app_id("applications", client_id)
        if application is None:
            raise token_errors.unknown_application(client_id, identity.TENANT_NAME)
        principal = self.directory.by_app_id("servicePrincipals", client_id)
        if principal is None:
            raise token_errors.no_service_principal(client_id, identity.TENANT_ID)
        tokens.check_enabled(application, principal)
        return application, principal

    def _consent(self, principal: Json, scopes: set[str]) -> None:
        """Note the user's consent, unless it is there. Raises TokenError where it is not the user's to give."""
        grants = [one for one in self.directory.objects("oauth2PermissionGrants") if one["clientId"] == principal["id"]]
        mine = [one for one in grants if one["consentType"] == "AllPrincipals" or one["principalId"] == USER]
        missing = scopes - SIGN_IN_SCOPES - {scope for grant in mine for scope in grant["scope"].split()}
        if not missing:
            return
        if not policies.users_may_consent(self.directory.policy.consent, missing):
            raise token_errors.administrator_must_consent(str(principal["displayName"]))
        graph = self.directory.by_app_id("servicePrincipals", identity.GRAPH_APP_ID) or {}
        self._grant(principal["id"], graph["id"], missing, USER)

    def _grant_everybody(self, principal: Json, access: Json) -> None:
        resource = self.directory.by_app_id("servicePrincipals", access["resourceAppId"])
        if resource is None:
            return
        values = {scope["id"]: scope["value"] for scope in resource["oauth2PermissionScopes"]}
        declared = [one["id"] for one in access["resourceAccess"] if one["type"] == "Scope"]
        self._grant(principal["id"], resource["id"], [values[one] for one in declared if one in values], None)

    def _grant(self, client: str, resource: str, scopes: Iterable[str], user: str | None) -> None:
        """Add to a grant that is there, or make one."""
        key = {
            "clientId": client,
            "resourceId": resource,
            "consentType": "Principal" if user else "AllPrincipals",
            "principalId": user,
        }
        for grant in self.directory.objects("oauth2PermissionGrants"):
            if key.items() <= grant.items():
                both = dict.fromkeys([*grant["scope"].split(), *scopes])
                self.directory.update_grant(grant["id"], {"scope": " ".join(both)})
                return
        self.directory.create_grant({**key, "scope": " ".join(dict.fromkeys(scopes))})


def names(scopes: Iterable[str]) -> set[str]:
    """The names of scopes, without their resources."""
    return {scope.rpartition("/")[2] for scope in scopes}


def same_redirect_uri(asked: str, registered: str) -> bool:
    """Whether Entra ID takes them for the same: letter by letter, but for the port of this machine."""
    one, other = urlsplit(asked), urlsplit(registered)
    if one.hostname in LOOPBACK and one.hostname == other.hostname:
        return (one.scheme, one.path, one.query) == (other.scheme, other.path, other.query)
    return asked == registered


def page(error: TokenError) -> Response:
    """The page on which a sign-in ends that Entra ID rejects."""
    return HTMLResponse(f"<p>AADSTS{error.number}: {escape(error.text)}</p>", error.status)


def back(uri: str, parameters: dict[str, str]) -> Response:
    """The way back to the application."""
    return RedirectResponse(f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(parameters)}", 302)
