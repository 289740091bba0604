"""Errors of Graph, each with the status, code and words of the real service.

Bodies follow https://learn.microsoft.com/graph/errors.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


@dataclass
class GraphError(Exception):
    """An error of Graph: HTTP status, Graph's error code and message, and what it adds as details."""

    status: int
    code: str
    message: str
    details: list[Json] = field(default_factory=list)

    def body(self) -> Json:
        """The error body that Graph sends, with fresh request ids."""
        request_id = str(uuid.uuid4())
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        inner = {"date": moment, "request-id": request_id, "client-request-id": request_id}
        details = {"details": self.details} if self.details else {}
        return {"error": {"code": self.code, "message": self.message, **details, "innerError": inner}}


def not_found(identifier: str) -> GraphError:
    """404 for an object that is not in the directory."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{identifier}' does not exist or one of its queried reference-property objects are not present.",
    )


def bad_request(message: str) -> GraphError:
    """400 with Graph's general code."""
    return GraphError(400, "Request_BadRequest", message)


def invalid_property(name: str, resource: str) -> GraphError:
    """400 for a value that the directory's schema does not allow."""
    return bad_request(f"Invalid value specified for property '{name}' of resource '{resource}'.")


def unsupported_query(message: str) -> GraphError:
    """400 for an OData form that the service (or this stand-in) does not answer."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def denied() -> GraphError:
    """403 for a caller without the permission, or without ownership where the permission is `OwnedBy`."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def too_many_objects() -> GraphError:
    """403 for a caller that has made as many objects as it may."""
    message = (
        "The directory object quota limit for the Principal has been exceeded. Please ask your administrator to "
        "increase the quota limit or delete objects to reduce the used quota."
    )
    return GraphError(403, "Directory_QuotaExceeded", message)


def too_many_owners(number: int, most: int) -> GraphError:
    """403 for more owners than an object may have."""
    message = f"Unable to perform operation as '{number}' would exceed the maximum quota count '{most}' for "
    return GraphError(403, "Directory_QuotaExceeded", f"{message}forward-link 'owners'.")


def unauthenticated(message: str) -> GraphError:
    """401 for a missing, forged or expired access token."""
    return GraphError(401, "InvalidAuthenticationToken", message)


def conflict(message: str) -> GraphError:
    """409 for a second object with a key that must be unique."""
    return GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
