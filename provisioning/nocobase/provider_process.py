"""The process in which the engine runs the pushes: it shows no secret, says errors as sentences, and ends its waits."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

from provisioning.errors import ProvisioningError
from provisioning.foreign import harmless, redact

if TYPE_CHECKING:
    from provisioning.nocobase.client import NocoBaseClient

_SECRETS: set[str] = set()
"""What this process redacts in all that it prints and records."""


def keep_secrets(nocobase: NocoBaseClient) -> None:
    """Redact from now on what `nocobase` knows, also the token and the secrets that it got by its requests."""
    redact_from_now_on(*nocobase.secrets)


def redact_from_now_on(*secrets: str) -> None:
    """Redact these in all that this process prints and records."""
    _SECRETS.update(filter(None, secrets))


def known_secrets() -> frozenset[str]:
    """What this process redacts."""
    return frozenset(_SECRETS)


def without_secrets(text: str) -> str:
    """A text for people or for the state."""
    # A copy: other NocoBases are served in other threads, which add to it.
    return redact(text, tuple(_SECRETS))


def say(text: str) -> None:
    """Print for the engine, which shows it."""
    print(harmless(without_secrets(text)))


class _Sentences:
    """Replaces the module `traceback` in the engine's provider process."""

    @staticmethod
    def format_exc() -> str:
        """The message of a ProvisioningError, else the traceback; secrets are redacted."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        text = str(error) if isinstance(error, ProvisioningError) else traceback.format_exc()
        return harmless(without_secrets(text))


def _cancelled(self: Any, request: Any, context: Any) -> Any:
    """What the engine's cancellation, by Ctrl-C, does in this process. It uses no name of this module: see below."""
    from google.protobuf import empty_pb2  # noqa: PLC0415

    from provisioning import waiting  # noqa: PLC0415

    waiting.end_all()
    return empty_pb2.Empty()


def end_waits_when_cancelled() -> None:
    """Make a Ctrl-C end the waits of this process: pulumi.dynamic's server ignores it, and offers no hook.

    The server has registered the method already, so the function itself gets another body.
    """
    servicer = getattr(sys.modules["__main__"], "DynamicResourceProviderServicer", None)
    if servicer is not None:
        servicer.Cancel.__code__ = _cancelled.__code__


def report_errors_as_sentences() -> None:
    """Make this process report ProvisioningErrors by their message alone.

    pulumi.dynamic's server reports every exception by `traceback.format_exc()` and offers no hook.
    """
    server = sys.modules["__main__"]
    if getattr(server, "traceback", None) is traceback:
        server.traceback = _Sentences  # type: ignore[attr-defined]
