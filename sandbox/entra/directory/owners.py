"""Owners of applications and service principals."""

from __future__ import annotations

from sandbox.entra import identity, permissions, rules
from sandbox.entra.directory.objects import Objects
from sandbox.entra.graph_errors import bad_request, not_found


class Owners(Objects):
    """Who owns what."""

    def add_owner(self, kind: str, identifier: str, owner: str, caller: str) -> None:
        """Raises GraphError 400 if it is an owner already, 404 if the tenant has neither such a user nor principal."""
        self._check_exists(kind, identifier)
        self.check_owner(identifier, caller)
        if owner != caller:
            permissions.check_new_owner(self.permissions(caller), person=owner in identity.PEOPLE)
        self._check_known([owner])
        if owner in self.state.owners[identifier]:
            raise bad_request(
                "One or more added object references already exist for the following modified properties: 'owners'."
            )
        rules.check_owners([*self.state.owners[identifier], owner])
        with self._change() as state:
            state.owners[identifier].append(owner)

    def remove_owner(self, kind: str, identifier: str, owner: str, caller: str) -> None:
        """Raises GraphError 404 if it is no owner. A caller that removes itself locks itself out."""
        self._check_exists(kind, identifier)
        self.check_owner(identifier, caller)
        if owner not in self.state.owners[identifier]:
            raise not_found(owner)
        with self._change() as state:
            state.owners[identifier].remove(owner)
