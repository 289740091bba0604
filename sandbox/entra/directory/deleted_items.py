"""Deleted items: emptied out of the bin, or brought back."""

from __future__ import annotations

from sandbox.entra.directory.objects import Json, Objects
from sandbox.entra.graph_errors import conflict


class DeletedItems(Objects):
    """What was deleted, and can be restored."""

    def delete_forever(self, identifier: str) -> None:
        """Empty one item out of the bin, with its secrets."""
        self._check_exists("deletedItems", identifier)
        with self._change() as state:
            item = state.deletedItems.pop(identifier)
            state.owners.pop(identifier, None)
            state.federatedIdentityCredentials.pop(identifier, None)
            for credential in item.get("passwordCredentials") or []:
                state.secret_hashes.pop(credential["keyId"], None)
                state.secret_times.pop(credential["keyId"], None)

    def restore(self, identifier: str) -> Json:
        """Bring an item back as it was. Raises GraphError 409 if another service principal took its name."""
        self._check_exists("deletedItems", identifier)
        item = {key: value for key, value in self.state.deletedItems[identifier].items() if key != "@odata.type"}
        kind = self.state.deletedItems[identifier]["@odata.type"].rpartition(".")[2] + "s"
        if kind == "servicePrincipals" and self.by_app_id(kind, item["appId"]):
            raise conflict(
                "The service principal cannot be created, updated, or restored because the service principal name "
                f"{item['appId']} is already in use."
            )
        with self._change() as state:
            del state.deletedItems[identifier]
            restored: Json = {**item, "deletedDateTime": None}
            if kind == "servicePrincipals":
                del restored["deletedDateTime"]
            getattr(state, kind)[identifier] = restored
        return restored
