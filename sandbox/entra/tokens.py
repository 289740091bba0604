"""Access tokens: issued for a secret or a foreign token, checked on every Graph request. Knows nothing of HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from sandbox.entra import federation, graph_errors, identity, token_errors
from sandbox.entra.directory import Directory
from sandbox.entra.sign_in import PERSONAL_ONLY

Json = dict[str, Any]

LIFETIME = 3599
"""Seconds, as Entra gives by default."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TENANT_NAMES = frozenset({identity.TENANT_ID, identity.TENANT_DOMAIN})


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signature(head: str, key: str) -> str:
    return _segment(hmac.new(key.encode(), head.encode(), hashlib.sha256).digest())


def issue(claims: Json, key: str) -> str:
    """A signed three-part JWT."""
    header = {"typ": "JWT", "alg": "HS256"}
    head = ".".join(_segment(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{_signature(head, key)}"


def read(token: str, key: str) -> Json:
    """The claims of a token of this sandbox. Raises GraphError 401 if it is forged, torn or expired."""
    head, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature, _signature(head, key)):
        raise graph_errors.unauthenticated("Access token validation failure. Invalid signature.")
    payload = head.partition(".")[2]
    claims: Json = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if claims["exp"] <= time.time():
        raise graph_errors.unauthenticated("Lifetime validation failed, the token is expired.")
    return claims


def caller(authorization: str | None, key: str) -> str:
    """The object id behind an Authorization header. Raises GraphError 401 without a valid token."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or token.count(".") != 2:
        raise graph_errors.unauthenticated("Access token is empty.")
    return str(read(token, key)["oid"])


def answer(directory: Directory, tenant: str, form: dict[str, str], authority: str) -> Json:
    """Answer a token request. authority: the sandbox's own address. Raises TokenError.

    Of a user's sign-ins it knows the one by device code, of a user who signs in at once and consents to nothing.
    """
    if tenant not in (*TENANT_NAMES, "consumers"):
        raise token_errors.unknown_tenant(tenant)
    if "grant_type" not in form:
        raise token_errors.missing_parameter("grant_type")
    if form["grant_type"] == DEVICE_CODE:
        return _for_device(directory, form, authority)
    if form["grant_type"] != "client_credentials":
        raise token_errors.unsupported_grant(form["grant_type"])
    if not form.get("client_id"):
        raise token_errors.missing_parameter("client_id")
    if not form.get("scope"):
        raise token_errors.missing_parameter("scope")
    if not all(scope.endswith("/.default") for scope in form["scope"].split()) and not form["scope"].endswith(
        ".default"
    ):
        raise token_errors.invalid_scope(form["scope"])
    _check_audience(directory, tenant, form["client_id"])
    if form.get("client_assertion"):
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise token_errors.missing_parameter("client_assertion_type")
        object_id = _federated(directory, form["client_id"], form["client_assertion"], authority)
    elif form.get("client_secret"):
        object_id = _authenticate(directory, form["client_id"], form["client_secret"])
    else:
        raise token_errors.missing_secret()
    rights = {"idtyp": "app", "roles": sorted(directory.permissions(object_id))}
    return _token(directory, authority, form["client_id"], object_id, rights)


def _token(directory: Directory, authority: str, client_id: str, object_id: str, rights: Json) -> Json:
    moment = int(time.time())
    claims = {
        "aud": authority,
        "iss": f"{authority}/{identity.TENANT_ID}/v2.0",
        "iat": moment,
        "nbf": moment,
        "exp": moment + LIFETIME,
        "appid": client_id,
        "oid": object_id,
        "sub": object_id,
        **rights,
        "tid": identity.TENANT_ID,
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
    }
    token = issue(claims, directory.state.signing_key)
    return {"token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME, "access_token": token}


def device_code(tenant: str, form: dict[str, str], authority: str) -> Json:
    """Begin a sign-in by device code. Raises TokenError."""
    if tenant not in TENANT_NAMES:
        raise token_errors.unknown_tenant(tenant)
    for name in ("client_id", "scope"):
        if not form.get(name):
            raise token_errors.missing_parameter(name)
    page = f"{authority}/devicelogin"
    return {
        "device_code": _segment(json.dumps([form["client_id"], form["scope"]]).encode()),
        "user_code": "SANDBOX",
        "verification_uri": page,
        "expires_in": 900,
        "interval": 1,
        "message": f"To sign in, use a web browser to open the page {page} and enter the code SANDBOX to authenticate.",
    }


def _for_device(directory: Directory, form: dict[str, str], authority: str) -> Json:
    """A token for the scopes of a device code. Raises TokenError without consent for everybody.

    A consent to a permission of Microsoft Graph counts for the same one of Exchange Online, as is believed.
    """
    code = form.get("device_code", "")
    try:
        client_id, scope = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
    except ValueError:
        raise token_errors.missing_parameter("device_code") from None
    server = directory.policy.settling.server()
    application = _application(directory, client_id, server)
    if not application["isFallbackPublicClient"]:
        raise token_errors.missing_secret()
    principal = _principal(directory, client_id, server)
    given = {
        name
        for grant in directory.state.oauth2PermissionGrants.values()
        if grant["clientId"] == principal and grant["consentType"] == "AllPrincipals"
        for name in str(grant["scope"]).split()
    }
    asked = {name.rpartition("/")[2] for name in scope.split()} - {"openid", "profile", "offline_access"}
    if not asked <= given:
        raise token_errors.no_consent(client_id, str(application["displayName"]))
    return _token(directory, authority, client_id, min(identity.PEOPLE), {"idtyp": "user", "scp": " ".join(asked)})


def _check_audience(directory: Directory, tenant: str, client_id: str) -> None:
    """Raise TokenError where client credentials do not work at all: personal accounts have no daemons."""
    application = directory.by_app_id("applications", client_id)
    name = str(application["displayName"]) if application else ""
    if tenant == "consumers":
        raise token_errors.organizations_only(client_id, name)
    if application is not None and application["signInAudience"] == PERSONAL_ONLY:
        raise token_errors.personal_accounts_only(9002346, client_id, name)


BUILT_IN = {
    identity.DEPLOYER_CLIENT_ID: (identity.DEPLOYER_SECRET, identity.DEPLOYER_OBJECT_ID),
    identity.ADMINISTRATOR_CLIENT_ID: (identity.ADMINISTRATOR_SECRET, identity.ADMINISTRATOR_OBJECT_ID),
}
"""Secret and object id of the callers that every tenant of the sandbox has."""


def _authenticate(directory: Directory, client_id: str, secret: str) -> str:
    """The object id of a client with the right secret. Raises TokenError."""
    if client_id in BUILT_IN:
        known, object_id = BUILT_IN[client_id]
        if not hmac.compare_digest(secret.encode(), known.encode()):
            raise token_errors.wrong_secret(client_id)
        return object_id
    server = directory.policy.settling.server()
    application = _application(directory, client_id, server)
    match directory.secret_state(application, secret, server):
        case "expired":
            raise token_errors.expired_secret(client_id)
        case "unknown":
            raise token_errors.wrong_secret(client_id)
    return _principal(directory, client_id, server)


def _federated(directory: Directory, client_id: str, assertion: str, authority: str) -> str:
    """The object id of a client that shows a token which one of its federated credentials names. Raises TokenError."""
    server = directory.policy.settling.server()
    application = _application(directory, client_id, server)
    credentials = directory.state.federatedIdentityCredentials.get(application["id"], [])
    federation.check_assertion(assertion, credentials, client_id, authority)
    return _principal(directory, client_id, server)


def _application(directory: Directory, client_id: str, server: int) -> Json:
    application = directory.by_app_id("applications", client_id)
    if application is None or not directory.has_settled(application["id"], server):
        raise token_errors.unknown_application(client_id, identity.TENANT_NAME)
    return application


def _principal(directory: Directory, client_id: str, server: int) -> str:
    principal = directory.by_app_id("servicePrincipals", client_id)
    if principal is None or not directory.has_settled(principal["id"], server):
        raise token_errors.no_service_principal(client_id, identity.TENANT_ID)
    check_enabled(directory.by_app_id("applications", client_id) or {}, principal)
    return str(principal["id"])


def check_enabled(application: Json, principal: Json) -> None:
    """Raise TokenError for what an administrator disabled, its owner deactivated, or Microsoft disabled."""
    by_microsoft = application.get("disabledByMicrosoftStatus") not in (None, "NotDisabled")
    if not principal["accountEnabled"] or application.get("isDisabled") or by_microsoft:
        raise token_errors.disabled_application(str(principal["appId"]), str(principal["displayName"]))
