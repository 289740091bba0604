"""The stand-in provider called directly: the same answers as over gRPC, in the same process, without waits."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from sandbox.azuread.graph import Graph, configuration
from sandbox.azuread.provider import Provider
from tests.contract.replay import Call


class Refusal(grpc.RpcError):
    """A call that the provider aborted."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._code

    def details(self) -> str:
        """The message."""
        return self._details


class _Context:
    """What a method needs of a gRPC context."""

    def __init__(self) -> None:
        self.trailing: Any = ()

    def set_trailing_metadata(self, metadata: Any) -> None:
        """Kept for tests to look at."""
        self.trailing = metadata

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """End the call, as gRPC does."""
        raise Refusal(code, details)


def context() -> Any:
    """A context for one call or several; `trailing` holds the trailing metadata of the last."""
    return _Context()


def provider(environment: dict[str, str], waits: list[float] | None = None) -> Provider:
    """A provider that never sleeps; what it would have slept is added to `waits`."""
    noted = waits if waits is not None else []

    def connect(given: Any, around: Any) -> Graph:
        return Graph(configuration(given, around), around, sleep=noted.append)

    return Provider(environment, connect=connect)


def direct_call(made: Provider) -> Call:
    """Calls to a provider in this process."""
    return lambda method, request: getattr(made, method)(request, context())
