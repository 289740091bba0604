"""Does Entra ID accept the client secrets that NocoBase was given, and for how long? Pure but for `ask_secrets`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from provisioning.doctor.runner import Finding, failed, ok, skipped, warning
from provisioning.doctor.stack import UNREADABLE
from provisioning.program.last_state import Application, Deployed, KnownSecret
from provisioning.status.dates import day

if TYPE_CHECKING:
    from provisioning.entra.token_check import Answer


def check_secrets(used: Sequence[tuple[KnownSecret, Answer | None]], due: datetime | None, now: datetime) -> Finding:
    """Whether the secrets in use work, and are replaced in time.

    used: each with what the token endpoint says of it, None if it was not asked. due: when the next one is due, None if
    that is unknown.
    """
    if not used:
        return failed("no client secret in the state is in use by a NocoBase", "pulumi up")
    for secret, answer in used:
        if secret.ends <= now:
            return failed(f"the one in slot {secret.slot} ended on {day(secret.ends)}: mail does not work", "pulumi up")
        if answer is not None and not answer.accepted and not answer.unknown:
            said = f"the token endpoint does not accept the one in slot {secret.slot} ({answer.reason})"
            return failed(said, answer.remedy)
    said = "; ".join(_told(secret, answer, now) for secret, answer in used)
    unknown = next((answer for _, answer in used if answer is not None and answer.unknown), None)
    if unknown is not None:
        return warning(said, unknown.remedy)
    without_token = next((answer for _, answer in used if answer is not None and answer.reason), None)
    if without_token is not None:
        return warning(f"{said}; but it issues no token: {without_token.reason}", without_token.remedy)
    if due is not None and due <= now:
        return warning(f"{said}; a new one is due since {day(due)}", "pulumi up, best on a schedule")
    return ok(said)


def _told(secret: KnownSecret, answer: Answer | None, now: datetime) -> str:
    """What is known of a secret that was not rejected."""
    lasts = f"until {day(secret.ends)}, {(secret.ends - now).days} days"
    if answer is not None and answer.unknown:
        return f"the token endpoint could not be asked about slot {secret.slot} ({answer.reason}), {lasts}"
    return f"the token endpoint accepts slot {secret.slot}, {lasts}"


def ask_secrets(state: Deployed, application: Application, now: datetime) -> Finding:
    """Do the client secrets in use work?"""
    used = [secret for secret in state.secrets if state.used_by(secret)]
    if any(secret.value is None for secret in used):
        return skipped(UNREADABLE)
    # azure-identity takes its time.
    from provisioning.entra import token_check  # noqa: PLC0415

    def ask(secret: KnownSecret) -> Answer | None:
        if secret.ends <= now:
            return None
        return token_check.ask(state.tenant_id or "", application.client_id, secret.value or "")

    return check_secrets([(secret, ask(secret)) for secret in used], state.next_rotation, now)
