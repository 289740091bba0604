"""What in an application others could use, beside what mail needs, as Graph shows it. Pure; no run undoes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provisioning.foreign import quoted


def weaknesses(application: Mapping[str, Any]) -> Iterator[str]:
    """Properties by which others could get tokens, or use the application as an API; a clause each."""
    implicit = at(application, "web.implicitGrantSettings") or {}
    if implicit.get("enableAccessTokenIssuance") or implicit.get("enableIdTokenIssuance"):
        yield "the implicit grant gives tokens to the browser"
    if application.get("isFallbackPublicClient"):
        yield "programs without a secret may sign users in"
    for scope in at(application, "api.oauth2PermissionScopes") or ():
        if scope.get("isEnabled") is not False:
            yield f"it exposes the scope {quoted(scope.get('value') or scope.get('id') or '')}"
    for client in at(application, "api.preAuthorizedApplications") or ():
        yield f"users are not asked about the application {quoted(client.get('appId') or '')}"


def certificates(application: Mapping[str, Any]) -> Iterator[str]:
    """Its certificates, none of which is a stack's; a clause each."""
    for key in application.get("keyCredentials") or ():
        yield f"certificate {quoted(key.get('displayName') or '')} ({quoted(key.get('keyId') or 'no id')})"


def at(item: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
