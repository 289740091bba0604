"""Delegated permissions of Microsoft Graph that a mail client may need: people write names, Entra ID needs ids.

The table is `scopes.json`; its ids are those of Microsoft's permissions reference, the same in every tenant.
"""

from __future__ import annotations

import json
from pathlib import Path

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph, the same in every tenant."""

DEFAULT_SCOPES = ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")
"""The scopes that NocoBase's documentation tells an administrator to add."""

SCOPE_IDS: dict[str, str] = json.loads((Path(__file__).parent / "scopes.json").read_text(encoding="utf-8"))
"""Name of a delegated permission of Microsoft Graph → its id."""

NOT_BY_USERS = frozenset(
    name for name in SCOPE_IDS if name.startswith(("IMAP.", "POP.", "Mail.Read", "MailboxSettings."))
)
"""Scopes to which users may not consent themselves under Microsoft's own policy, the default of new tenants.

IMAP and POP are excluded as Exchange Online's permissions, for which NocoBase asks by the same names. Source:
Microsoft's page "Manage app consent policies" (January 2026).
"""
