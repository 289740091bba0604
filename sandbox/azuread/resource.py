"""What every resource type has, and what each uses to ask Graph: polls, locks, and the provider's words for errors.

Each type is in a file of its own. It asks what the recordings of the real provider show, request by request. Words of
errors that no recording has are those of its public source; an error of one attribute begins with its name.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.azuread import state
from sandbox.azuread.graph import Graph, ProviderError, RequestError
from sandbox.azuread.schema import ResourceType
from sandbox.azuread.values import Properties

Json = dict[str, Any]
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT = 400, 403, 404, 409
POLLS = 5
"""The real provider believes a change when it has seen it this often in a row."""
MOST_POLLS = 120
SECRET_POLL, DELETION_POLL = 1.0, 5.0
"""Seconds between polls, if waits are asked for."""

IMPORT_IT = (
    "To be managed via Terraform, this resource needs to be imported into the State. Please see the resource "
    'documentation for "{}" for more information.'
)

Answer = tuple[str, Properties]


class Resource(ABC):
    """A resource type. Every method raises ProviderError in the real provider's words."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.type = resource_type

    def plan_error(self, inputs: Properties) -> str | None:
        """The error that is certain already in a preview; None if there is none."""
        return None

    @abstractmethod
    def create(self, graph: Graph, inputs: Properties) -> Answer | None:
        """Create it and read it back. Answers the id and the properties; None if the object is gone at once."""

    @abstractmethod
    def read(self, graph: Graph, identifier: str, olds: Properties) -> Properties | None:
        """Its properties now; None if the object is gone. olds: the last state, {} for an import."""

    def update(self, graph: Graph, identifier: str, olds: Properties, inputs: Properties) -> Properties | None:
        """Change it in place and read it back; None if the object is gone.

        Where every property replaces, it is asked for at most after a creation that failed half-way: read.
        """
        return self.read(graph, identifier, olds)

    @abstractmethod
    def delete(self, graph: Graph, identifier: str, olds: Properties) -> None:
        """Delete it and wait until Graph agrees. olds: the last state."""

    def _created(self, identifier: str, given: Properties, values: Properties | None) -> Answer | None:
        """What `create` answers. values: what was read, None if the object is gone."""
        return None if values is None else (identifier, state.after_create(self.type.properties, given, values))

    def _updated(self, given: Properties, olds: Properties, values: Properties | None) -> Properties | None:
        """What `update` answers. values: as above."""
        return None if values is None else state.after_update(self.type.properties, given, olds, values)


class PartialCreation(ProviderError):
    """The object exists, but what came after its creation failed: the engine must remember it."""

    def __init__(self, identifier: str, properties: Properties, reason: str) -> None:
        super().__init__(reason)
        self.identifier = identifier
        self.properties = properties


@contextmanager
def recorded(identifier: str, properties: Properties) -> Iterator[None]:
    """Raise an error within as a PartialCreation. properties: what the engine is to remember."""
    try:
        yield
    except ProviderError as problem:
        raise PartialCreation(identifier, properties, str(problem)) from problem


class Locks:
    """One lock for each application: its secrets are changed one after the other."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of one application."""
        with self._locks[name]:
            yield


LOCKS = Locks()


def poll(graph: Graph, seconds: float, seen: Callable[[], bool], times: int | None = None) -> None:
    """Look until the change has been seen so often (POLLS times) in a row. Raises ProviderError if it never is."""
    in_a_row = 0
    for _ in range(MOST_POLLS):
        in_a_row = in_a_row + 1 if seen() else 0
        if in_a_row == (times or POLLS):
            return
        graph.pause(seconds)
    raise ProviderError("timed out waiting for replication")


def is_gone(graph: Graph, path: str, version: str = "v1.0") -> bool:
    """Whether Graph answers 404."""
    try:
        graph.request("GET", f"/{version}{path}")
    except RequestError as error:
        if error.status == NOT_FOUND:
            return True
        raise
    return False


@contextmanager
def explained(what: str, if_not_found: str | None = None) -> Iterator[None]:
    """Put the provider's words in front of Graph's error; other ones for a 404, if they are given."""
    try:
        yield
    except RequestError as error:
        words = if_not_found if if_not_found is not None and error.status == NOT_FOUND else what
        raise ProviderError(f"{words}: {error}") from error


def get_or_none(words: str, get: Callable[[], Json | None]) -> Json | None:
    """What `get` answers, None if the object is gone. words: the provider's, in front of any other error."""
    try:
        return get()
    except RequestError as error:
        if error.status == NOT_FOUND:
            return None
        raise ProviderError(f"{words}: {error}") from error


def shown(identifier: str) -> str:
    """An application, a service principal or a grant in the words of the provider's SDK."""
    _, kind, object_id = identifier.split("/")
    name = {
        "applications": "Application",
        "servicePrincipals": "Service Principal",
        "oauth2PermissionGrants": "O Auth 2 Permission Grant",
    }[kind]
    return f'{name} ({name}: "{object_id}")'


def last_part(identifier: str) -> str:
    """The object id in an id such as /applications/<id>."""
    return identifier.rpartition("/")[2]


def is_not_found(error: RequestError) -> bool:
    """Whether Graph does not know the object."""
    return error.status == NOT_FOUND
