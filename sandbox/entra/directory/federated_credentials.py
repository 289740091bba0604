"""Federated identity credentials: which foreign tokens an application may sign in with."""

from __future__ import annotations

import uuid

from sandbox.entra import rules
from sandbox.entra.directory.objects import Json, Objects
from sandbox.entra.graph_errors import not_found
from sandbox.entra.graph_objects import without_annotations


class FederatedCredentials(Objects):
    """The federated identity credentials of the applications."""

    def federated_credentials(self, identifier: str) -> list[Json]:
        """Which foreign tokens an application may sign in with, in the order in which they were made."""
        self.get("applications", identifier)
        return self.state.federatedIdentityCredentials.get(identifier, [])

    def federated_credential(self, identifier: str, credential: str) -> Json:
        """One of them, by id or by name. Raises GraphError 404."""
        found = self.federated_credentials(identifier)
        match = next((item for item in found if credential in (item["id"], item["name"])), None)
        if match is None or self._is_hidden(match["id"]):
            raise not_found(credential)
        return match

    def create_federated_credential(self, identifier: str, body: Json, caller: str) -> Json:
        """Let tokens of an issuer with a subject and an audience sign in as the application, without a secret."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        others = self.state.federatedIdentityCredentials.get(identifier, [])
        made: Json = {
            "id": str(uuid.uuid4()),
            "description": None,
            "subject": None,
            "claimsMatchingExpression": None,
            **without_annotations(body),
        }
        rules.check_federated_credential(made, others)
        with self._change() as state:
            state.federatedIdentityCredentials.setdefault(identifier, []).append(made)
            self._is_new(made["id"])
        return made

    def update_federated_credential(self, identifier: str, credential: str, body: Json, caller: str) -> None:
        """PATCH; the name stays."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        old = self.federated_credential(identifier, credential)
        fixed = {"id": old["id"], "name": old["name"]}
        changed = {**old, **without_annotations(body), **fixed}
        items = self.state.federatedIdentityCredentials[identifier]
        rules.check_federated_credential(changed, [item for item in items if item is not old])
        with self._change() as state:
            kept = [changed if item["id"] == old["id"] else item for item in items]
            state.federatedIdentityCredentials[identifier] = kept

    def delete_federated_credential(self, identifier: str, credential: str, caller: str) -> None:
        """Tokens of that kind no longer sign in."""
        self._check_exists("applications", identifier)
        self.check_owner(identifier, caller)
        old = self.federated_credential(identifier, credential)
        with self._change() as state:
            state.federatedIdentityCredentials[identifier].remove(old)
