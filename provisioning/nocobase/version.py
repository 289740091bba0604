"""Which version of NocoBase is at an address, and where that version takes its mail credentials from.

NocoBase 2 takes them by its REST API, which `push` uses. NocoBase 3 takes them only from its configuration (source: its
documentation of the Mail plugin); see the package `nocobase3`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from provisioning import errors


class Target(StrEnum):
    """Where a NocoBase takes its mail credentials from."""

    REST = "REST API"
    CONFIGURATION = "configuration"


def target_of(version: str) -> Target:
    """Where the NocoBase of this version, as numbered_version returns it, takes its mail credentials from."""
    return Target.CONFIGURATION if int(version.partition(".")[0]) >= 3 else Target.REST


def numbered_version(text: object) -> str | None:
    """The numbers of the version that a server reports, like 2.2.15; None if `text` is not a version.

    The rest of the text is dropped, because errors repeat the version.
    """
    found = re.match(r"v?(\d{1,4}(?:\.\d{1,4}){1,3})(?!\w)", text) if isinstance(text, str) else None
    return found[1] if found else None


def is_version_3(answer: Mapping[str, Any] | None) -> bool:
    """Whether an answer has the form of NocoBase 3's errors: `{"error": {status, reason, domain, …}}`, all texts.

    A NocoBase 3 has no public action that names its version; its mail plugin answers so without a login.
    """
    error = (answer or {}).get("error")
    return isinstance(error, dict) and all(isinstance(error.get(key), str) for key in ("status", "reason", "domain"))


def not_by_rest(url: str, version: str, why: str) -> errors.CredentialsInFile:
    """The error for a NocoBase that takes its credentials from its configuration, which no setting names."""
    return errors.CredentialsInFile(
        f"NocoBase at {url} is version {version}, which takes mail credentials from its configuration",
        why,
        "Say where that is kept: pulumi config set nocobaseConfigFile <absolute path, or "
        "kubernetes://namespace/secret/key>. See docs/nocobase-3.md.",
    )
