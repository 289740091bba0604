"""Delegated permissions of Microsoft Graph that a mail client may need: people write names, Entra ID needs ids.

The table is `scopes.json`; its ids are those of Microsoft's permissions reference, the same in every tenant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph, the same in every tenant."""

DEFAULT_SCOPES = ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")
"""The scopes that NocoBase's documentation tells an administrator to add."""

SIGN_IN_SCOPES = ("openid", "profile", "email", "offline_access")
"""Scopes of the sign-in itself, which belong to no resource. Source: Microsoft's page "Scopes and permissions"."""

NOCOBASE_3_SCOPES = (*SIGN_IN_SCOPES, "User.Read", "Mail.ReadWrite", "Mail.Send")
"""What NocoBase 3 asks for unless its configuration says otherwise. Source: its documentation of the Mail plugin."""

PROTOCOLS = ("IMAP.", "POP.", "SMTP.")
"""How the names of those scopes begin that only a client of mail protocols needs; NocoBase 3 is none."""

SCOPE_IDS: dict[str, str] = json.loads((Path(__file__).parent / "scopes.json").read_text(encoding="utf-8"))
"""Name of a delegated permission of Microsoft Graph → its id."""

GRAPH_URL = "https://graph.microsoft.com/"
"""What stands before the name of a scope of Microsoft Graph in a request."""


def asked_by_nocobase_3(scopes: Iterable[str]) -> tuple[str, ...]:
    """What a NocoBase 3 asks for, of an application with `scopes`: as it is written in an authorization request."""
    asked = [scope for scope in scopes if scope not in SIGN_IN_SCOPES and not scope.startswith(PROTOCOLS)]
    # Without these there is no refresh token, and nobody to whom the mailbox belongs.
    return (*SIGN_IN_SCOPES, *(f"{GRAPH_URL}{scope}" for scope in asked))


NOT_BY_USERS = frozenset(
    name for name in SCOPE_IDS if name.startswith(("IMAP.", "POP.", "Mail.Read", "MailboxSettings."))
)
"""Scopes to which users may not consent themselves under Microsoft's own policy, the default of new tenants.

IMAP and POP are excluded as Exchange Online's permissions, for which NocoBase asks by the same names. Source:
Microsoft's page "Manage app consent policies" (January 2026).
"""
