"""azuread:index/applicationOwner: one owner of an application, the others left alone."""

from __future__ import annotations

from sandbox.azuread.graph import Graph, ProviderError
from sandbox.azuread.resource import LOCKS, Answer, Resource, explained, get_or_none, is_not_found, last_part
from sandbox.azuread.values import Properties, plain


class ApplicationOwner(Resource):
    """azuread:index/applicationOwner:ApplicationOwner. Nothing of it can be changed in place."""

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

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """DELETE the reference."""
        with explained(f"removing {_shown(identifier)}"):
            graph.delete(f"{identifier}/$ref")


def _listed(graph: Graph, identifier: str) -> bool:
    """Whether Graph lists the owner; False also for an application that is gone."""
    collection, _, owner = identifier.rpartition("/")
    query = f"id eq '{owner}'"
    words = f'unable to list Owners with filter "{query}"'
    found = get_or_none(words, lambda: graph.get(collection, filter=query))
    return found is not None and bool(found["value"])


def _shown(identifier: str) -> str:
    """An owner in the words of the provider's SDK, which breaks the line."""
    _, _, application, _, owner = identifier.split("/")
    return f'Application Id Owner (Application: "{application}"\nDirectory Object: "{owner}")'
