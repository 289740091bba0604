"""NocoBase 3's mail plugin as far as its public documentation describes it (app-plugin-mail, November 2026).

It is a stand-in, of its contract alone: no line of NocoBase's, no database, no user, no mail. It reads its
configuration when it starts, and then never again. It does not start with a configuration that NocoBase does not start
with. What it cannot know is how NocoBase behaves while it starts and stops.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

TYPES = {"microsoft": "oauth", "gmail": "oauth", "imap-smtp": "credentials"}
"""The types of mail providers → how users connect their accounts."""

GRAPH = "https://graph.microsoft.com/"
SCOPES = (
    "openid",
    "profile",
    "email",
    "offline_access",
    *(f"{GRAPH}{name}" for name in ("User.Read", "Mail.ReadWrite", "Mail.Send")),
)
"""What Microsoft is asked for unless the configuration says otherwise."""

CALLBACK = "/mail/oauth/callback"


class DoesNotStart(Exception):
    """The configuration is one with which NocoBase does not start."""


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    status: int
    body: Mapping[str, Any]


@dataclass
class StandIn:
    """One NocoBase 3. config: its configuration file. keys: API keys → whether the user may open the mail workspace.

    requests: what came, as "METHOD path". running: whether it has been started.
    """

    config: Path
    keys: dict[str, bool]
    requests: list[str] = field(default_factory=list)
    running: bool = False
    starts: int = 0
    _loaded: Mapping[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Read the configuration. Raises DoesNotStart."""
        self.running = False
        self._loaded = checked(self.config.read_bytes())
        self.running = True
        self.starts += 1

    def stop(self) -> None:
        """Answer nothing from now on."""
        self.running = False

    def provider(self, name: str) -> Mapping[str, Any] | None:
        """The provider that it was started with, its secret included; None if there is none of that name."""
        found = self._providers.get(name)
        return found if found and found.get("enabled", True) else None

    @property
    def _providers(self) -> Mapping[str, Any]:
        return (self._loaded.get("mail") or {}).get("providers") or {}

    def answer(self, method: str, path: str, origin: str, key: str | None, body: Any) -> Answer:
        """What a request gets. path: with the public base path. origin: of the request. body: its JSON."""
        self.requests.append(f"{method} {path}")
        base = str((self._loaded.get("app") or {}).get("publicBasePath") or "").rstrip("/")
        if not path.startswith(f"{base}/api/mail/"):
            return error(404, "NOT_FOUND", "ROUTE_NOT_FOUND", "app")
        if key not in self.keys:
            return error(401, "UNAUTHENTICATED", "AUTHENTICATION_REQUIRED", "app")
        if not self.keys[key]:
            return error(403, "PERMISSION_DENIED", "MAIL_ACCESS_DENIED")
        match method, path.removeprefix(f"{base}/api/mail/"):
            case "GET", "providers":
                listed = self._listed()
                return Answer(200, {"data": listed, "meta": {"total": len(listed)}})
            case "POST", "authorizations":
                return self._authorization(body, origin, base)
        return error(404, "NOT_FOUND", "ROUTE_NOT_FOUND", "app")

    def _listed(self) -> list[dict[str, Any]]:
        there = [
            {"type": one["type"], "name": name, "connection": TYPES[one["type"]], "configured": True}
            for name, one in self._providers.items()
            if one["type"] in TYPES and one.get("enabled", True)
        ]
        configured = {one["type"] for one in self._providers.values()}
        rest = [type_ for type_ in TYPES if type_ not in configured]
        return there + [
            {"type": type_, "name": type_, "connection": TYPES[type_], "configured": False} for type_ in rest
        ]

    def _authorization(self, body: Any, origin: str, base: str) -> Answer:
        wanted = {"type": str, "name": str, "initialSyncReceivedAfter": str}
        given = body if isinstance(body, dict) else {}
        valid = all(isinstance(given.get(name), kind) for name, kind in wanted.items())
        if not valid or given.keys() - {*wanted, "scopes"} or not _is_rfc_3339(given["initialSyncReceivedAfter"]):
            return error(400, "INVALID_ARGUMENT", "INVALID_INPUT", "app")
        found = self.provider(given["name"])
        if found is None or found["type"] != given["type"]:
            return error(400, "FAILED_PRECONDITION", "MAIL_PROVIDER_UNAVAILABLE")
        if not found.get("clientId") or not found.get("clientSecret"):
            return error(500, "INTERNAL", "INTERNAL", "app")
        allowed = found.get("scopes") or SCOPES
        asked = given.get("scopes") or allowed
        if not set(asked) <= set(allowed):
            return error(400, "FAILED_PRECONDITION", "MAIL_PROVIDER_REQUEST_FAILED")
        state = secrets.token_urlsafe(32)
        public = str((self._loaded.get("app") or {}).get("publicOrigin") or origin)
        query = {
            "client_id": found["clientId"],
            "redirect_uri": self._callback(public, base),
            "response_type": "code",
            "response_mode": "query",
            "scope": " ".join(asked),
            "state": state,
            "code_challenge": secrets.token_urlsafe(32),
            "code_challenge_method": "S256",
        }
        authority = str(found.get("authorityBaseUrl") or "https://login.microsoftonline.com").removesuffix("/")
        tenant = quote(str(found.get("tenant") or "common"), safe="")
        url = f"{authority}/{tenant}/oauth2/v2.0/authorize?{urlencode(query)}"
        return Answer(201, {"data": {"authorizationUrl": url, "state": state, "expiresAt": "2099-01-01T00:00:00.000Z"}})

    def _callback(self, public: str, base: str) -> str:
        configured = str((self._loaded.get("mail") or {}).get("oauthCallbackUrl") or CALLBACK)
        return configured if "://" in configured else f"{public}{base}{configured}"


def checked(content: bytes) -> Mapping[str, Any]:
    """A configuration with which NocoBase starts. Raises DoesNotStart."""
    try:
        loaded = YAML(typ="safe", pure=True).load(io.StringIO(content.decode("utf-8"))) or {}
    except (YAMLError, UnicodeDecodeError, ValueError) as problem:
        raise DoesNotStart("the configuration is not valid YAML") from problem
    if not isinstance(loaded, dict):
        raise DoesNotStart("the configuration is not a mapping")
    if "mail" in loaded and not isinstance(loaded["mail"], dict):
        raise DoesNotStart('"mail" must be an object')
    providers = loaded.get("mail", {}).get("providers", {})
    if not isinstance(providers, dict):
        raise DoesNotStart('"mail.providers" must be an object')
    for name, one in providers.items():
        if not isinstance(one, dict) or not isinstance(one.get("type"), str):
            raise DoesNotStart(f'"mail.providers.{name}" must include a string "type"')
        if not isinstance(one.get("enabled", True), bool):
            raise DoesNotStart(f'"mail.providers.{name}.enabled" must be a boolean')
    return loaded


def error(code: int, status: str, reason: str, domain: str = "mail") -> Answer:
    """An error in the form of NocoBase 3's."""
    message = "This is a stand-in for NocoBase 3."
    said = {"code": code, "status": status, "reason": reason, "domain": domain, "message": message, "requestId": "1"}
    return Answer(code, {"error": said})


def _is_rfc_3339(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
