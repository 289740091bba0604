"""azuread:index/applicationPassword: a client secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox.azuread import state
from sandbox.azuread.graph import Graph, ProviderError
from sandbox.azuread.resource import (
    DELETION_POLL,
    LOCKS,
    SECRET_POLL,
    Answer,
    Json,
    Resource,
    explained,
    get_or_none,
    last_part,
    poll,
    recorded,
)
from sandbox.azuread.values import Properties, plain


class ApplicationPassword(Resource):
    """azuread:index/applicationPassword:ApplicationPassword. Nothing of it can be changed in place."""

    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """GET the application, addPassword, polls until the secret stays visible, read.

        A wait that fails, for a 404, too, leaves the secret without a state: the provider notes its id only afterwards.
        """
        given = plain(inputs)
        object_id = last_part(given["applicationId"])
        name = f'Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            with explained(f"[application_id] Retrieving {name}"):
                graph.get(f"/applications/{object_id}")
            with explained(f"Adding password for {name}"):
                issued = graph.post(
                    f"/applications/{object_id}/addPassword", {"passwordCredential": _credential(given)}
                )
            with explained(f"Waiting for password credential for {name}"):
                poll(graph, SECRET_POLL, lambda: _held(graph, object_id, issued["keyId"]) is not None)
            identifier = f"{object_id}/password/{issued['keyId']}"
            olds = {**given, "value": issued["secretText"]}
            with recorded(identifier, state.answer(self.type, {"id": identifier, **olds})):
                values = self.read(graph, identifier, olds)
        return None if values is None else (identifier, values)

    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """GET the application and look for the secret; its text comes from the last state."""
        object_id, _, key_id = identifier.partition("/password/")
        if not key_id:
            raise ProviderError(f'Parsing password credential with ID "{identifier}"')
        words = f'[application_id] Retrieving Application (Application: "{object_id}")'
        credential = get_or_none(words, lambda: _held(graph, object_id, key_id))
        if credential is None:
            return None
        return {
            "id": identifier,
            "applicationId": f"/applications/{object_id}",
            "displayName": credential.get("displayName") or "",
            "endDate": credential.get("endDateTime") or "",
            "keyId": key_id,
            "startDate": credential.get("startDateTime") or "",
            **state.kept(self.type, olds),
        }

    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """removePassword, then polls until it stays gone."""
        object_id, _, key_id = identifier.partition("/password/")
        name = f'password credential "{key_id}" from Application (Application: "{object_id}")'
        with LOCKS.hold(object_id):
            with explained(f"Removing {name}"):
                graph.post(f"/applications/{object_id}/removePassword", {"keyId": key_id})
            with explained(f"Waiting for deletion of {name}: retrieving resource"):
                poll(graph, DELETION_POLL, lambda: _held(graph, object_id, key_id) is None)


def _credential(given: Properties) -> Json:
    end, start = given.get("endDate"), given.get("startDate")
    if relative := given.get("endDateRelative"):
        begin = datetime.fromisoformat(start) if start else datetime.now(UTC)
        end = (begin + go_duration(relative)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = {"displayName": given.get("displayName"), "endDateTime": end, "startDateTime": start}
    return {name: value for name, value in named.items() if value}


def go_duration(text: str) -> timedelta:
    """A duration as Go writes it, such as 240h or 2400h30m. Raises ProviderError if it is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    total, number = 0.0, ""
    for letter in text:
        if letter.isdigit() or letter == ".":
            number += letter
        elif letter in units and number:
            total, number = total + float(number) * units[letter], ""
        else:
            number = "?"
            break
    if number or not text:
        raise ProviderError(f'unable to parse `end_date_relative` ("{text}") as a duration')
    return timedelta(seconds=total)


def _held(graph: Graph, object_id: str, key_id: str) -> Json | None:
    """A secret of an application that exists. Raises RequestError."""
    application = graph.get(f"/applications/{object_id}")
    credentials: list[Json] = application.get("passwordCredentials") or []
    return next((credential for credential in credentials if credential["keyId"] == key_id), None)
