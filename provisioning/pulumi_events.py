"""What the engine says of an operation while it runs, as typed data. Pure; `pulumi_cli` runs the operation.

`pulumi up --json` and its siblings print an event a line. Source: sdk/v3/go/common/apitype/events.go of Pulumi.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.foreign import harmless, one_line

SAME = "same"
"""The engine's word for a resource of which nothing changes."""

REFRESH = "refresh"
"""Its word for the reading of a resource."""

COLOUR_TAG = re.compile(r"<\{%.*?%\}>")
"""How the engine marks colours in its messages."""

NO_NEWS = (
    "update failed",
    "preview failed",
    "one or more errors occurred",
    "Resource monitor has terminated, shutting down",
)
"""What the engine adds to other errors."""

NOT_SIGNED_IN = re.compile(
    r"could not load provider for resource \S*\bazuread:(?!.*(?:load|find) plugin for )", re.DOTALL
)
"""How the engine begins where its refresh, which signs in as the last run did, cannot sign in to Entra ID.

It begins so, too, where there is no plugin (pkg/resource/deploy/providers/registry.go of Pulumi 3.255 and 3.274).
"""

SIGN_IN_ANEW = (
    "The refresh could not sign in to Entra ID as the last run did. If the sign-in has changed since (azuread:… in the "
    "stack's configuration), run `pulumi up --run-program` once: it signs in as the stack says now. "
    "`python -m provisioning doctor` checks that sign-in."
)

PROVIDER_LOG = ": sdk.helper_schema: "
"""What the log of a bridged provider (azuread) says is in the provider's error, too."""


@dataclass(frozen=True)
class StepBegun:
    """The engine has begun with one resource.

    operation: what it does to it, such as `create` or `same`. kind: the resource's type. changed: the properties that
    differ.
    """

    operation: str
    kind: str
    urn: str
    changed: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether the engine changes the resource, or would; each run begins by reading them all (`refresh`)."""
        return self.operation not in (SAME, REFRESH)

    @property
    def words(self) -> str:
        """The operation and the type without its package, such as `create replacement Application`."""
        return one_line(f"{self.operation.replace('-', ' ')} {self.kind.rpartition(':')[2]}")


@dataclass(frozen=True)
class StepEnded:
    """The engine has completed its work on one resource.

    outputs: the resource's, secrets masked; empty where it is gone.
    """

    operation: str
    kind: str
    urn: str
    outputs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Diagnostic:
    """What the engine, the program or a provider says. severity: info, info#err, warning or error."""

    severity: str
    message: str


@dataclass(frozen=True)
class PolicyViolation:
    """A policy that a resource violates. mandatory: whether that ends the operation."""

    policy: str
    message: str
    mandatory: bool


@dataclass(frozen=True)
class Summary:
    """How many resources were (in a preview: would be) changed, by operation."""

    changes: Mapping[str, int]


Event = StepBegun | StepEnded | Diagnostic | PolicyViolation | Summary


@dataclass(frozen=True)
class Operation:
    """How an operation on a stack ended. events: all of it. said: what the command printed on stderr."""

    succeeded: bool
    events: tuple[Event, ...]
    said: str = ""

    @property
    def changes(self) -> dict[str, int]:
        """How many resources were (in a preview: would be) changed, by operation."""
        counts = [event.changes for event in self.events if isinstance(event, Summary)]
        return {operation: count for operation, count in (counts[-1] if counts else {}).items() if operation != SAME}

    @property
    def errors(self) -> list[str]:
        """Why it failed: the engine's own messages, each once, with the way out first where only this program knows it.

        Empty if it succeeded.
        """
        if self.succeeded:
            return []
        messages = (_plain(message) for event in self.events if (message := _error(event)))
        news = dict.fromkeys(message for message in messages if message and not _is_repetition(message))
        said = list(news) or _printed(self.said)
        way_out = [SIGN_IN_ANEW] if any(map(NOT_SIGNED_IN.match, said)) else []
        return [*way_out, *map(harmless, said)]


def parse_event(line: str) -> Event | None:
    """The event in a line of `pulumi … --json`; None for a line that is none, and for events that nobody needs."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    match found:
        case {"resourcePreEvent": {"metadata": {"op": str(operation), "type": str(kind), "urn": str(urn)} as step}}:
            changed = {one_line(path.partition("[")[0]) for path in step.get("detailedDiff") or {}}
            return StepBegun(operation, kind, urn, tuple(sorted(changed)))
        case {"resOutputsEvent": {"metadata": {"op": str(operation), "type": str(kind), "urn": str(urn)} as step}}:
            return StepEnded(operation, kind, urn, (step.get("new") or {}).get("outputs") or {})
        case {"diagnosticEvent": {"severity": str(severity), "message": str(message)}} if severity != "debug":
            return Diagnostic(severity, message)
        case {"policyEvent": {"policyName": str(policy), "message": str(message), "enforcementLevel": level}}:
            return PolicyViolation(policy, message, level == "mandatory")
        case {"summaryEvent": {"resourceChanges": dict(changes)}}:
            return Summary(changes)
    return None


def _error(event: Event) -> str:
    """What an event says of why the operation fails; empty if it says nothing of that."""
    match event:
        case Diagnostic("error", message):
            return message
        case PolicyViolation(policy, message, mandatory=True):
            return f"Policy {policy}: {message}"
    return ""


def _is_repetition(message: str) -> bool:
    """Whether a message says nothing that another error does not say."""
    return message.startswith(NO_NEWS) or PROVIDER_LOG in message


def _printed(stderr: str) -> list[str]:
    """The errors that a command printed, one message each with the lines that follow it; all of it if there is none."""
    parts = re.split(r"^error: ", COLOUR_TAG.sub("", stderr).strip(), flags=re.MULTILINE)
    return [part.strip() for part in parts[1:] or parts]


def _plain(message: str) -> str:
    return COLOUR_TAG.sub("", message).strip().removeprefix("error: ")
