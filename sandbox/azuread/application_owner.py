"""azuread:index/applicationOwner: one owner of an application, the others left alone."""

from __future__ import annotations

from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.resources import LOCKS, NOT_FOUND, Answer, explained, is_not_found, last_part
from sandbox.azuread.schema import ResourceType
from sandbox.azuread.values import Properties, plain


class ApplicationOwner:
    """azuread:index/applicationOwner:ApplicationOwner. Nothing of it can be changed in place."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """No error is certain in a preview."""
        return None

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """Look for the owner, POST a reference, read."""
        given = plain(inputs)
        application, owner = given["applicationId"], given["ownerObjectId"]
        identifier = f"{application}/owners/{owner}"
        with LOCKS.hold(last_part(application)):
            if _listed(graph, identifier):
                raise ProviderError(
                    f'A resource with the ID "{identifier}" already exists - to be managed via Terraform this resource '
                    "needs to be imported into the State. Please see the resource documentation for "
                    '"azuread_application_owner" for more information.'
                )
            reference = {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"}
            with explained(f"adding {_shown(identifier)}"):
                graph.post(f"{application}/owners/$ref", reference, is_not_found)
        values = self.read(graph, identifier, {})
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """Look for the owner."""
        application, _, owner = identifier.partition("/owners/")
        found = _listed(graph, identifier)
        return {"id": identifier, "applicationId": application, "ownerObjectId": owner} if found else None

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """Never asked for, since every property replaces: read."""
        return self.read(graph, identifier, olds)

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE the reference."""
        with explained(f"removing {_shown(identifier)}"):
            graph.delete(f"{identifier}/$ref")


def _listed(graph: Graph, identifier: str) -> bool:
    """Whether Graph lists the owner; False also for an application that is gone."""
    collection, _, owner = identifier.rpartition("/")
    query = f"id eq '{owner}'"
    try:
        return bool(graph.get(collection, filter=query)["value"])
    except RequestError as error:
        if error.status == NOT_FOUND:
            return False
        raise ProviderError(f'unable to list Owners with filter "{query}": {error}') from error


def _shown(identifier: str) -> str:
    """An owner in the words of the provider's SDK, which breaks the line."""
    _, _, application, _, owner = identifier.split("/")
    return f'Application Id Owner (Application: "{application}"\nDirectory Object: "{owner}")'
