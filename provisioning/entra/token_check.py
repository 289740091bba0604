"""Checks at Entra ID's token endpoint whether a client secret works, before NocoBase gets it.

Entra ID has many servers, and a new secret, application or service principal reaches one after the other. Until then
the answers differ from request to request (vault-plugin-secrets-azure#23), so one success proves nothing. The authority
is azure-identity's default: AZURE_AUTHORITY_HOST, or Microsoft's public cloud.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity import AzureAuthorityHosts, ClientSecretCredential

from provisioning.connections import proxy_for
from provisioning.entra import error_codes
from provisioning.entra.transport import quiet_azure, transport
from provisioning.errors import SecretRejected
from provisioning.waiting import SIGN_OF_LIFE, waiting_for

ENDPOINT = "Entra ID's token endpoint"

SCOPE = "https://graph.microsoft.com/.default"

PATIENCE_SECONDS = 300.0
"""How long to wait for a new secret; HashiCorp's check of new ones (`azure_access_credentials`) waits as long."""

VERIFIED_PATIENCE_SECONDS = 90.0
"""The same for a secret that an earlier run has verified."""

SUCCESSES = 24
"""How many requests in a row have to accept a new secret.

HashiCorp asks for 8, a second apart. Where one server of four does not have the secret yet, 8 requests miss it in one
case of ten, 24 in one of a thousand.
"""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two successes: the run of them lasts as long as the refusals before it, within these limits."""

SHORTEST_WAIT, LONGEST_WAIT = 0.25, 4.0
"""Seconds after a refusal: a quarter of the time so far, within these limits."""

SETTLING = frozenset({"7000215", "7000222", "7000229", "700016"})
"""Wrong or expired secret, no service principal, unknown application: what servers answer that do not have it yet."""

EXPIRED = "7000222"
"""Of a new secret this was seen, too (GraphRunner#28); of one that was verified before it is true."""

BUSY = frozenset({"90033", "90090", "50033", "90006", "90012", "90024"})
"""What Microsoft's list of error codes calls transient, or a time-out."""

BLOCKED = "conditional access for workload identities blocks the application's own sign-in, not its users'"

ACCEPTED = {
    "53003": BLOCKED,
    "530031": BLOCKED,
    "530032": BLOCKED,
    "501051": "Microsoft Graph issues tokens to assigned applications only in this tenant",
    "500011": "Microsoft Graph has no service principal in this tenant",
    "500014": "Microsoft Graph is disabled in this tenant",
}
"""Code → why there is no token although the secret is right: it was checked before that was found."""

UNAVAILABLE = re.compile(r"HTTP Error: 5\d\d")
"""How MSAL reports an answer that the service itself did not give."""

NETWORK = "Check the connection with `python -m provisioning doctor --network-only`."

LOGS = "Look at the application's sign-in logs in Entra ID."


class Verdict(StrEnum):
    """What the token endpoint makes of a client secret."""

    TOKEN = "it is accepted"
    NO_TOKEN = "it is accepted, but no token is issued"
    SETTLING = "it is not accepted, which may be so because it is new"
    BUSY = "there is no answer for the moment"
    REJECTED = "it is not accepted"


@dataclass(frozen=True)
class Answer:
    """One answer of the token endpoint. reason: why there is no token. remedy: what to do about it."""

    verdict: Verdict
    reason: str = ""
    remedy: str = ""
    code: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the secret is right."""
        return self.verdict in (Verdict.TOKEN, Verdict.NO_TOKEN)

    @property
    def unknown(self) -> bool:
        """Whether nothing was learned of the secret."""
        return self.verdict is Verdict.BUSY

    def may_pass(self, new: bool) -> bool:
        """Whether another answer may follow. new: whether the secret is."""
        if self.verdict is Verdict.SETTLING:
            return new or self.code != EXPIRED
        return self.unknown


def ask(tenant_id: str, client_id: str, client_secret: str, **options: int) -> Answer:
    """What the token endpoint says of the secret now, over a connection of its own. options: of azure-identity."""
    quiet_azure()
    try:
        # A new credential each time: MSAL repeats a 400 of the last 60 s without asking (seen with msal 1.39).
        with waiting_for(ENDPOINT), _credential(tenant_id, client_id, client_secret, **options) as credential:
            credential.get_token(SCOPE)
    except (ClientAuthenticationError, ServiceRequestError, ServiceResponseError) as error:
        return _answer(error)
    return Answer(Verdict.TOKEN)


def wait_until_accepted(
    tenant_id: str,
    client_id: str,
    client_secret: str,
    new: bool,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the token endpoint accepts the secret: SUCCESSES times in a row if it is `new`, else once.

    say: gets a line when the first wait begins, after each SIGN_OF_LIFE, and at the end of a wait. clock, sleep: in
    seconds. Raises SecretRejected when patience ends, or at once if waiting does not help.
    """
    needed, patience = (SUCCESSES, PATIENCE_SECONDS) if new else (1, VERIFIED_PATIENCE_SECONDS)
    begun, refused_until, next_sign, in_a_row = clock(), 0.0, 0.0, 0
    while True:
        # The pauses are this function's, which tells of them.
        answer = ask(tenant_id, client_id, client_secret, retry_total=0)
        waited = clock() - begun
        if answer.accepted:
            in_a_row += 1
            if in_a_row == needed:
                break
            pause = _within(refused_until / SUCCESSES, SHORTEST_PAUSE, LONGEST_PAUSE)
        else:
            in_a_row, refused_until = 0, max(waited, SHORTEST_WAIT)
            pause = _within(waited / 4, SHORTEST_WAIT, LONGEST_WAIT)
            if not answer.may_pass(new) or waited + pause > patience:
                raise _rejected(client_id, answer, new, waited)
            if waited >= next_sign:
                say(_sign_of_life(client_id, answer, new, patience - waited))
                next_sign = waited + SIGN_OF_LIFE
        sleep(pause)
    if answer.verdict is Verdict.NO_TOKEN:
        say(f"Entra ID accepts the client secret of {client_id}, but issues no token: {answer.reason}.")
    if refused_until and new:
        say(
            f"Entra ID accepts the new client secret of {client_id}, {needed} times in a row, after {waited:.0f} s. "
            "Sign-ins may still fail for a minute, until all of its servers have the secret."
        )


def _within(seconds: float, shortest: float, longest: float) -> float:
    return min(max(seconds, shortest), longest)


def _sign_of_life(client_id: str, answer: Answer, new: bool, left: float) -> str:
    what = "new client secret" if new else "client secret"
    return f"Entra ID does not accept the {what} of {client_id} yet ({answer.reason}); waiting, {left:.0f} s at most."


def _rejected(client_id: str, answer: Answer, new: bool, waited: float) -> SecretRejected:
    after = f", after {waited:.0f} s of waiting" if waited >= 1 else ""
    return SecretRejected(
        f"Entra ID's token endpoint does not accept the {'new ' * new}client secret of {client_id} ({answer.reason}"
        f"{after}). NocoBase keeps its old secret. Run the command again. If the error stays: {answer.remedy}"
    )


def _credential(tenant_id: str, client_id: str, client_secret: str, **options: int) -> ClientSecretCredential:
    login = os.environ.get("AZURE_AUTHORITY_HOST") or AzureAuthorityHosts.AZURE_PUBLIC_CLOUD
    # azure-identity would make its own error of what cannot be used.
    proxy_for(login if "://" in login else f"https://{login}")
    # Instance discovery asks Microsoft's public cloud, which does not know other authorities.
    return ClientSecretCredential(
        tenant_id, client_id, client_secret, disable_instance_discovery=True, transport=transport(), **options
    )


def _answer(error: Exception) -> Answer:
    if _was_not_reached(error):
        return Answer(Verdict.BUSY, "no answer", NETWORK)
    text = str(error)
    # The rest of an error's text is never repeated.
    found = re.search(r"AADSTS(\d+)", text)
    code = found[1] if found else None
    reason, remedy = error_codes.reason(text) or ("no answer", None)
    if code in ACCEPTED:
        return Answer(Verdict.NO_TOKEN, f"{ACCEPTED[code]} (AADSTS{code})", remedy or LOGS, code)
    if code in SETTLING:
        return Answer(Verdict.SETTLING, reason, remedy or LOGS, code)
    busy = code in BUSY or (code is None and UNAVAILABLE.search(text))
    return Answer(Verdict.BUSY if busy else Verdict.REJECTED, reason, remedy or LOGS, code)


def _was_not_reached(error: BaseException) -> bool:
    # If there was no answer, azure-identity raises its own error with the connection's as the cause.
    return any(isinstance(one, ServiceRequestError | ServiceResponseError) for one in (error, error.__cause__))
