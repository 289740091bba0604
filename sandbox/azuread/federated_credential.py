"""azuread:index/applicationFederatedIdentityCredential, and the flexible one: which foreign tokens may sign in."""

from __future__ import annotations

from sandbox.azuread import state
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.resource import (
    DELETION_POLL,
    LOCKS,
    SECRET_POLL,
    Answer,
    Json,
    Resource,
    explained,
    get_or_none,
    is_gone,
    last_part,
    poll,
)
from sandbox.azuread.values import Properties, plain

PART = "/federatedIdentityCredential/"
"""What stands between the object id of the application and the id of the credential."""


class FederatedCredential(Resource):
    """azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential."""

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the application, POST, polls until the credential stays visible, read.

        A wait that fails leaves the credential without a state: the provider notes its id only afterwards.
        """
        given = plain(inputs)
        object_id = last_part(given["applicationId"])
        name = f'Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            try:
                graph.get(f"/applications/{object_id}")
            except RequestError as error:
                raise ProviderError(f"retrieving {name}: {error}: {error}") from error
            with explained(f"Adding federated identity credential for {name}"):
                made = graph.post(f"/applications/{object_id}/federatedIdentityCredentials", self._body(given))
            identifier = f"{object_id}{PART}{made['id']}"
            with explained(f"Waiting for {_shown(identifier)}"):
                poll(graph, SECRET_POLL, lambda: not is_gone(graph, _path(identifier)))
            values = self.read(graph, identifier, {})
        return self._created(identifier, given, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET."""
        object_id, _, credential_id = identifier.partition(PART)
        words = f'[id] Retrieving federated identity credential with ID "{credential_id}" for application'
        item = get_or_none(f'{words} with object ID "{object_id}"', lambda: graph.get(_path(identifier)))
        if item is None:
            return None
        values = state.from_graph(self.type.properties, item)
        return values | {"id": identifier, "applicationId": f"/applications/{object_id}"}

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """PATCH, read."""
        object_id, _, credential_id = identifier.partition(PART)
        given = plain(inputs)
        words = f'Updating federated identity credential with ID "{credential_id}" for application'
        with LOCKS.hold(object_id), explained(f'{words} with object ID "{object_id}"'):
            graph.patch(_path(identifier), self._body(given) | {"id": credential_id})
        values = self.read(graph, identifier, olds)
        return self._updated(given, olds, values)

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE, then polls until it stays gone."""
        object_id = identifier.partition(PART)[0]
        with LOCKS.hold(object_id):
            with explained(f"Removing {_shown(identifier)}"):
                graph.delete(_path(identifier))
            with explained(f"Waiting for deletion of {_shown(identifier)}: retrieving resource"):
                poll(graph, DELETION_POLL, lambda: is_gone(graph, _path(identifier)))

    @staticmethod
    def _body(given: Properties) -> Json:
        return {
            "@odata.type": "#microsoft.graph.federatedIdentityCredential",
            "audiences": given["audiences"],
            "description": given.get("description") or "",
            "issuer": given["issuer"],
            "name": given["displayName"],
            "subject": given["subject"],
        }


class FlexibleFederatedCredential(Resource):
    """azuread:index/applicationFlexibleFederatedIdentityCredential:ApplicationFlexibleFederatedIdentityCredential.

    Not recorded: written after the provider's public source, whose error at the creation leaves Graph's words out.
    """

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the application, POST, poll until the credential is visible once, read; all of beta."""
        given = plain(inputs)
        object_id = last_part(given["applicationId"])
        name = f'Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            with explained(f"retrieving {name}"):
                graph.get_beta(f"/applications/{object_id}")
            try:
                address = f"/beta/applications/{object_id}/federatedIdentityCredentials"
                made = graph.request("POST", address, body=self._body(given))
            except RequestError as error:
                raise ProviderError(f"adding flexible federated identity credential for {name}") from error
            identifier = f"{object_id}{PART}{made['id']}"
            with explained(f"waiting for {_shown(identifier)}"):
                poll(graph, SECRET_POLL, lambda: not is_gone(graph, _path(identifier), "beta"), times=1)
            values = self.read(graph, identifier, {})
        return self._created(identifier, given, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET of beta."""
        object_id = identifier.partition(PART)[0]
        item = get_or_none(f"retrieving {_shown(identifier)}", lambda: graph.get_beta(_path(identifier)))
        if item is None:
            return None
        values = state.from_graph(self.type.properties, item)
        audience = next(iter(item.get("audiences") or []), "")
        return values | {"id": identifier, "applicationId": f"/applications/{object_id}", "audience": audience}

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """PATCH of beta, read."""
        object_id, _, credential_id = identifier.partition(PART)
        given = plain(inputs)
        with LOCKS.hold(object_id), explained(f"updating {_shown(identifier)}"):
            body = self._body(given) | {"id": credential_id}
            graph.request("PATCH", f"/beta{_path(identifier)}", body=body)
        values = self.read(graph, identifier, olds)
        return self._updated(given, olds, values)

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE of beta, then polls until it stays gone."""
        with LOCKS.hold(identifier.partition(PART)[0]):
            with explained(f"deleting {_shown(identifier)}"):
                graph.request("DELETE", f"/beta{_path(identifier)}")
            with explained(f"waiting for deletion of {_shown(identifier)}"):
                poll(graph, DELETION_POLL, lambda: is_gone(graph, _path(identifier), "beta"))

    @staticmethod
    def _body(given: Properties) -> Json:
        return {
            "@odata.type": "#microsoft.graph.federatedIdentityCredential",
            "audiences": [given["audience"]],
            "claimsMatchingExpression": {"languageVersion": 1, "value": given["claimsMatchingExpression"]},
            "description": given.get("description") or "",
            "issuer": given["issuer"],
            "name": given["displayName"],
        }


def _path(identifier: str) -> str:
    object_id, _, credential_id = identifier.partition(PART)
    return f"/applications/{object_id}/federatedIdentityCredentials/{credential_id}"


def _shown(identifier: str) -> str:
    """A credential in the words of the provider's SDK, which breaks the line."""
    object_id, _, credential_id = identifier.partition(PART)
    parts = f'Application: "{object_id}"\nFederated Identity Credential: "{credential_id}"'
    return f"Application Id Federated Identity Credential ({parts})"
