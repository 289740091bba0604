"""The gRPC service that the engine talks to: ResourceProvider, as the recordings of the real provider show it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.azuread import checking, diffing, schema, state
from sandbox.azuread.catalogue import all_resources
from sandbox.azuread.functions import FUNCTIONS
from sandbox.azuread.graph import DEFAULT_PATIENCE, Graph, ProviderError, RequestError, configuration
from sandbox.azuread.resource import PartialCreation, Resource
from sandbox.azuread.values import Properties, plain, read, write

RECORDED = "6.10.0"
"""The version whose answers are copied."""
VERSION = f"{RECORDED}+stand-in"
"""The suffix says that this is not it."""
LOGGED_BY = "sdk-v2/provider2.go:572: sdk.helper_schema"
"""Where the real provider's bridge logs errors."""
NOTICE = "azuread: this is the sandbox's stand-in for the azuread provider 6.10.0, not the official plugin"

Context = grpc.ServicerContext
Log = Callable[[Literal["debug", "error"], str, str], None]
"""Writes to the engine's log: severity, URN or "", text."""


def listed(problem: Exception | str) -> str:
    """An error as the real provider lists it."""
    return f"1 error occurred:\n\t* {problem}\n\n"


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The service. Every method answers what the real provider answers, or fails in its words."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        on_cancel: Callable[[], None] = lambda: None,
        log: Log = lambda severity, urn, text: None,
        on_attach: Callable[[str], None] = lambda address: None,
        connect: Callable[[Mapping[str, Any], Mapping[str, str]], Graph] | None = None,
    ) -> None:
        """environment: ARM_* and SSL_CERT_FILE. on_cancel: called when the engine wants the plugin to stop. log:
        writes to the engine's log. on_attach: called with the address of an engine that found the plugin running.
        connect: makes the Graph client from provider configuration."""
        self.environment = environment
        self.on_cancel = on_cancel
        self.log = log
        self.on_attach = on_attach
        self.connect = connect or (lambda given, around: Graph(configuration(given, around), around))
        self.types = schema.load()
        self.resources = all_resources(self.types)
        self._graph: Graph | None = None
        self._configuring = threading.Lock()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        """The version, marked as a stand-in's."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Attach(self, request: plugin_pb2.PluginAttach, context: Context) -> empty_pb2.Empty:
        """The engine found a plugin that was running already (PULUMI_DEBUG_PROVIDERS)."""
        self.on_attach(request.address)
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        """Stop."""
        self.on_cancel()
        return empty_pb2.Empty()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        """Provider configuration is taken as it comes."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        """Changed provider configuration never replaces the provider."""
        olds, news = plain(read(request.olds)), plain(read(request.news))
        changed = sorted(name for name in {*olds, *news} if olds.get(name) != news.get(name))
        if not changed:
            return provider_pb2.DiffResponse()
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_SOME, diffs=changed)

    def Configure(self, request: provider_pb2.ConfigureRequest, context: Context) -> provider_pb2.ConfigureResponse:
        """Ask for the cloud's metadata and sign in."""
        self.log("debug", "", NOTICE)
        with self._configuring, self._failing(context, ""):
            self._graph = self.connect(read(request.args), self.environment)
        return provider_pb2.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: Context) -> provider_pb2.InvokeResponse:
        """Call a function."""
        function = FUNCTIONS.get(request.tok)
        if function is None:
            self._unknown(context, "function", request.tok)
        with self._failing(context, f"invoking {request.tok}", ""):
            result = function(self._connected(context), plain(read(request.args)), self.types)
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(write(result))
        return response

    def Check(self, request: provider_pb2.CheckRequest, context: Context) -> provider_pb2.CheckResponse:
        """Fill in defaults, name failures."""
        resource, name = self._resource(request.urn, context)
        olds, inputs = read(request.olds), read(request.news)
        # The real provider names the property in the reason alone, so that the engine does not print its value.
        failures = [
            provider_pb2.CheckFailure(reason=failure.reason)
            for failure in checking.failures(resource.type, name, inputs, olds)
        ]
        if failures:
            return provider_pb2.CheckResponse(failures=failures)
        return provider_pb2.CheckResponse(inputs=write(checking.with_defaults(resource.type.properties, inputs, olds)))

    def Diff(self, request: provider_pb2.DiffRequest, context: Context) -> provider_pb2.DiffResponse:
        """What would change."""
        resource, _ = self._resource(request.urn, context)
        news = read(request.news)
        self._check_plan(resource, news, request.urn, f"diffing {request.urn}", context)
        found = diffing.difference(resource.type, read(request.olds), news)
        kinds = {path: kind for path, kind in found.kinds.items() if not _is_ignored(path, request.ignoreChanges)}
        changed = [name for name in found.changed if name in set(map(_top, kinds))]
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            replaces=[name for name in found.replaces if name in changed],
            stables=found.stables,
            changes=some,
            diffs=changed,
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.ValueType(kind))
                for path, kind in kinds.items()
            },
            hasDetailedDiff=True,
        )

    def Create(self, request: provider_pb2.CreateRequest, context: Context) -> provider_pb2.CreateResponse:
        """Create, or say what a create would give."""
        resource, _ = self._resource(request.urn, context)
        inputs = read(request.properties)
        self._check_plan(resource, inputs, request.urn, "", context)
        if request.preview:
            planned = state.planned_creation(resource.type, inputs)
            return provider_pb2.CreateResponse(properties=write(state.answer(resource.type, planned)))
        try:
            with (
                self._failing(context, "", request.urn, partial=True),
                self._working(resource, "create", context) as graph,
            ):
                made = resource.create(graph, inputs)
        except PartialCreation as problem:
            self._abort_partial(context, problem, request.properties)
        if made is None:
            self._abort(context, f"expected non-empty ID for new state during Create of {request.urn}")
        identifier, values = made
        return provider_pb2.CreateResponse(id=identifier, properties=write(state.answer(resource.type, values)))

    def Read(self, request: provider_pb2.ReadRequest, context: Context) -> provider_pb2.ReadResponse:
        """The state now; an empty answer for an object that is gone. Without a last state it is an import."""
        resource, _ = self._resource(request.urn, context)
        olds, old_inputs = read(request.properties), read(request.inputs)
        refreshing = f"refreshing {request.urn}"
        with self._failing(context, refreshing, request.urn), self._working(resource, "read", context) as graph:
            values = resource.read(graph, request.id, olds)
        if values is None:
            return provider_pb2.ReadResponse()
        table = resource.type.properties
        is_import = not request.HasField("properties")
        inputs = (
            state.imported_inputs(table, values) if is_import else state.refreshed_inputs(table, old_inputs, values)
        )
        answer = state.answer(resource.type, values)
        return provider_pb2.ReadResponse(id=values["id"], properties=write(answer), inputs=write(inputs))

    def Update(self, request: provider_pb2.UpdateRequest, context: Context) -> provider_pb2.UpdateResponse:
        """Change in place, or say what an update would give."""
        resource, _ = self._resource(request.urn, context)
        olds, inputs = read(request.olds), _with_ignored(read(request.news), read(request.olds), request.ignoreChanges)
        if request.preview:
            planned = state.planned_update(resource.type, olds, inputs)
            return provider_pb2.UpdateResponse(properties=write(state.answer(resource.type, planned)))
        updating = f"updating {request.urn}"
        with self._failing(context, updating, request.urn), self._working(resource, "update", context) as graph:
            values = resource.update(graph, request.id, olds, inputs)
        if values is None:
            self._abort(
                context,
                f"Resource provider reported that the resource did not exist while updating {request.urn}.\n\n"
                "This is usually a result of the resource having been deleted outside of Pulumi, and can often be "
                "fixed by running `pulumi refresh` before updating.",
            )
        return provider_pb2.UpdateResponse(properties=write(state.answer(resource.type, values)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> empty_pb2.Empty:
        """Delete and wait until it stays gone."""
        resource, _ = self._resource(request.urn, context)
        deleting = f"deleting {request.urn}"
        with self._failing(context, deleting, request.urn), self._working(resource, "delete", context) as graph:
            resource.delete(graph, request.id, plain(read(request.properties)))
        return empty_pb2.Empty()

    def _resource(self, urn: str, context: Context) -> tuple[Resource, str]:
        """The implementation and the resource's name. Aborts the call for a type that the stand-in does not have."""
        token, _, name = urn.partition("::")[2].partition("::")[2].rpartition("::")
        token = token.rpartition("$")[2]
        if token not in self.resources:
            self._unknown(context, "resource type", token)
        return self.resources[token], name

    def _connected(self, context: Context) -> Graph:
        if self._graph is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the provider is not configured")
        return self._graph

    @contextmanager
    def _working(self, resource: Resource, operation: str, context: Context) -> Iterator[Graph]:
        """The client, for as long as the resource type's timeout of the operation."""
        graph = self._connected(context)
        with graph.within(resource.type.timeouts.get(operation, DEFAULT_PATIENCE)):
            yield graph

    def _check_plan(self, resource: Resource, inputs: Properties, urn: str, prefix: str, context: Context) -> None:
        problem = resource.plan_error(plain(inputs))
        if problem:
            self._log_error(urn, problem)
            self._abort(context, f"{prefix}: {listed(problem)}" if prefix else listed(problem))

    @contextmanager
    def _failing(
        self, context: Context, prefix: str, urn: str | None = None, *, partial: bool = False
    ) -> Iterator[None]:
        """Turn errors into a gRPC status; partial lets PartialCreation through.

        urn: of the resource to which the real provider logs them, too; None where it does not.
        """
        try:
            yield
        except (ProviderError, RequestError) as problem:
            if urn is not None:
                self._log_error(urn, str(problem))
            if partial and isinstance(problem, PartialCreation):
                raise
            self._abort(context, f"{prefix}: {listed(problem)}" if prefix else listed(problem))

    def _log_error(self, urn: str, text: str) -> None:
        """What people see of an error besides the error: the Terraform SDK's own log."""
        without_attribute = re.sub(r"^\[[^]]*] ", "", text)
        self.log("error", urn, f"  {LOGGED_BY}: {without_attribute}: provider=azuread@{RECORDED}")

    @staticmethod
    def _abort(context: Context, text: str) -> NoReturn:
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError("unreachable")

    @staticmethod
    def _unknown(context: Context, what: str, token: str) -> NoReturn:
        text = f"the sandbox's stand-in for azuread has no {what} {token}; install the official plugin for it"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
        raise AssertionError("unreachable")

    @staticmethod
    def _abort_partial(context: Context, problem: PartialCreation, inputs: Any) -> NoReturn:
        """Tell the engine to keep the half-made object in its state, as the protocol provides."""
        text = listed(problem)
        detail = provider_pb2.ErrorResourceInitFailed(
            id=problem.identifier, properties=write(problem.properties), reasons=[text], inputs=inputs
        )
        packed = any_pb2.Any()
        packed.Pack(detail)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=text, details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, text)
        raise AssertionError("unreachable")


def _top(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _is_ignored(path: str, ignored: Iterable[str]) -> bool:
    """Whether a changed path is at or below an ignored one (pulumi-terraform-bridge, `processIgnoreChanges`)."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in ignored)


def _with_ignored(inputs: Properties, olds: Properties, ignored: Iterable[str]) -> Properties:
    """The inputs, with the last values of the properties whose changes are to be ignored, such as `web.logoutUrl`."""
    result = dict(inputs)
    for path in ignored:
        name, _, inner = path.partition(".")
        if name not in olds:
            continue
        if not inner:
            result[name] = olds[name]
        elif isinstance(result.get(name), dict) and isinstance(olds[name], dict):
            result[name] = _with_ignored(result[name], olds[name], [inner])
    return result
