"""Client secrets: issued, withdrawn, and known to the token endpoint's servers one after the other."""

from __future__ import annotations

import hashlib
import secrets as randomness
import uuid
from datetime import timedelta

from sandbox.entra import rules
from sandbox.entra.directory.objects import Json, Objects
from sandbox.entra.graph_errors import bad_request
from sandbox.entra.graph_objects import parse_time, rfc3339

DEFAULT_SECRET_LIFETIME = timedelta(days=2 * 365)
"""What Graph gives a secret whose end is not named."""


def secret_hash(text: str) -> str:
    """What is kept of a secret: enough to check it, not enough to use it. Secrets have 200 random bits, so no salt."""
    return hashlib.sha256(text.encode()).hexdigest()


class ClientSecrets(Objects):
    """The client secrets of the applications."""

    def add_password(self, identifier: str, credential: Json, caller: str) -> Json:
        """Issue a secret. The answer is the only place where its text is ever shown."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        application = self.state.applications[identifier]
        moment = self.clock.now()
        start = parse_time(credential["startDateTime"], "startDateTime") if credential.get("startDateTime") else moment
        given_end = credential.get("endDateTime")
        end = parse_time(given_end, "endDateTime") if given_end else start + DEFAULT_SECRET_LIFETIME
        rules.check_secrets_allowed(self.policy.secrets_forbidden, self.policy.policy_id)
        rules.check_new_secret(application, start, end, self.policy.maximum_secret_lifetime, self.policy.policy_id)
        text = f"sbx8Q~{randomness.token_urlsafe(25)}"
        entry: Json = {
            "keyId": str(uuid.uuid4()),
            "displayName": credential.get("displayName"),
            "startDateTime": rfc3339(start),
            "endDateTime": rfc3339(end),
            "hint": text[:3],
            "customKeyIdentifier": None,
            "secretText": None,
        }
        with self._change() as state:
            state.applications[identifier]["passwordCredentials"].append(entry)
            state.secret_hashes[entry["keyId"]] = secret_hash(text)
            state.secret_times[entry["keyId"]] = self.timer()
        return {**entry, "secretText": text}

    def remove_password(self, identifier: str, key_id: str, caller: str) -> None:
        """Withdraw a secret. Raises GraphError 400 if the application has none with this id."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        credentials = self.state.applications[identifier]["passwordCredentials"]
        if key_id not in [credential["keyId"] for credential in credentials]:
            raise bad_request("No password credential found with keyId.")
        with self._change() as state:
            kept = [credential for credential in credentials if credential["keyId"] != key_id]
            state.applications[identifier]["passwordCredentials"] = kept
            state.secret_hashes.pop(key_id, None)
            state.secret_times.pop(key_id, None)

    def secret_state(self, application: Json, text: str, server: int) -> str:
        """Whether the text is a secret of the application: "valid", "expired" or "unknown", as a server knows it."""
        digest = secret_hash(text)
        for credential in application["passwordCredentials"]:
            key_id = credential["keyId"]
            if not randomness.compare_digest(self.state.secret_hashes.get(key_id, ""), digest):
                continue
            if parse_time(credential["endDateTime"], "endDateTime") <= self.clock.now():
                return "expired"
            settling, age = self.policy.settling, self.timer() - self.state.secret_times.get(key_id, 0.0)
            if settling.knows(server, key_id, age):
                return "valid"
            return "expired" if settling.mistakes_for_expired() else "unknown"
        return "unknown"
