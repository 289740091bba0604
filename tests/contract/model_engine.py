"""A model of the engine, in this process: it runs a program against the azuread stand-in and keeps the state.

It does what pkg/resource/deploy of Pulumi 3.274 does, one step after the other: a refresh (`options: refresh: always`),
aliases, imports followed by updates, ignored changes, replacements, half-made resources, deletions in reverse order,
and those that go with another resource. A program that asks for the whole state is told that of before the refresh;
one that asks for a single resource is told what the refresh has found.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import provider_pb2, resource_pb2, status_pb2
from pulumi.runtime.stack import run_pulumi_func

from provisioning import pins
from provisioning.resource_types import STACK_TYPE
from sandbox.azuread.provider import Provider
from sandbox.azuread.values import Properties, read, write
from tests.contract import in_process

Json = dict[str, Any]
STATE = "pulumi:pulumi:readStackResourceOutputs"
RESOURCE = "pulumi:pulumi:getResource"
ORGANIZATION = "organization"


class StepFailed(Exception):
    """The provider refused a step; the message is its own."""


@dataclass
class Record:
    """One resource in the state.

    retained: whether its object stays when it is deleted. half_made: its creation failed after the object was there.
    """

    type: str
    id: str
    inputs: Properties
    outputs: Properties
    deleted_with: str = ""
    retained: bool = False
    half_made: bool = False


class ModelEngine(mocks.MockMonitor):
    """One stack. Each run begins with `up` or `destroy`; `records` is the state, by URN, in order of creation.

    components: the outputs of those in the state, by URN. steps: what the last run did to which resource, without what
    stayed the same.
    """

    def __init__(self, provider: Provider, project: str, stack: str) -> None:
        super().__init__(_NoMocks())
        self.provider = provider
        self.project, self.stack = project, stack
        self.records: dict[str, Record] = {}
        self.components: dict[str, Properties] = {}
        self.steps: list[tuple[str, str]] = []
        self._declared: set[str] = set()
        self._told: Json = {}
        self._refreshed: set[str] = set()
        self._failure: str | None = None
        self._dry = False
        self._lock = threading.Lock()
        self._do("Configure", provider_pb2.ConfigureRequest())

    # Runs

    def up(self, program: Callable[[], None]) -> None:
        """Refresh, run the program, then delete what it does not declare any more. Raises StepFailed."""
        self._run(program)
        self._delete([urn for urn in self.records if urn not in self._declared])

    def preview(self, program: Callable[[], None]) -> None:
        """Find what `up` would do, deletions apart, and change nothing, the state included. Raises StepFailed."""
        before = copy.deepcopy(self.records)
        self._dry = True
        try:
            self._run(program)
        finally:
            self._dry, self.records = False, before

    def _run(self, program: Callable[[], None]) -> None:
        self._told = self._state()
        self.refresh()
        self.steps, self._declared, self._failure = [], set(), None
        failures: list[BaseException] = []

        def run() -> None:
            # A thread has a context of its own, and Pulumi keeps all that it knows of a run in there.
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            # Every waiting resource fails with the first one; once is enough.
            loop.set_exception_handler(lambda *_: None)
            try:
                mocks.set_mocks(
                    self.mocks, self.project, self.stack, self._dry, monitor=self, organization=ORGANIZATION
                )
                # What an earlier run left, in a loop that is closed.
                settings.SETTINGS.outputs.clear()
                loop.run_until_complete(run_pulumi_func(program))
            except (Exception, SystemExit) as error:
                failures.append(error)
            finally:
                loop.close()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if self._failure is not None:
            raise StepFailed(self._failure)
        if failures:
            raise failures[0]

    def refresh(self) -> None:
        """Read everything, and forget what is gone."""
        self._refreshed = set()
        for urn, one in list(self.records.items()):
            asked = provider_pb2.ReadRequest(
                urn=urn, id=one.id, inputs=write(one.inputs), properties=write(one.outputs)
            )
            found = self._do("Read", asked)
            if found.id:
                one.inputs, one.outputs = read(found.inputs), read(found.properties)
                self._refreshed.add(urn)
            else:
                del self.records[urn]

    def destroy(self) -> None:
        """Refresh, and delete everything. Raises StepFailed."""
        self.refresh()
        self.steps = []
        self._delete(list(self.records))
        self.components = {}

    def _delete(self, urns: list[str]) -> None:
        for urn in reversed(urns):
            if not self.records[urn].retained and self.records[urn].deleted_with not in urns:
                self._delete_object(urn)
            self.steps.append(("delete", _name(urn)))
            del self.records[urn]

    # What the program asks

    def Invoke(self, request: Any) -> Any:
        """A function of the provider, the state, or one resource as the refresh has found it."""
        functions = {STATE: lambda _: self._told, RESOURCE: self._resource}
        result = functions.get(request.tok, self._invoked)(request)
        answer = resource_pb2.ResourceInvokeResponse()
        getattr(answer, "return").CopyFrom(write(result))
        return answer

    def _state(self) -> Json:
        components = {urn: {"type": _type(urn), "outputs": outputs} for urn, outputs in self.components.items()}
        objects = {urn: {"type": one.type, "outputs": one.outputs} for urn, one in self.records.items()}
        return {"outputs": {**components, **objects}}

    def _resource(self, request: Any) -> Json:
        urn = read(request.args)["urn"]
        if urn not in self._refreshed:
            raise StepFailed(f"unknown resource {urn}")
        return {"urn": urn, "id": self.records[urn].id, "state": self.records[urn].outputs}

    def _invoked(self, request: Any) -> Json:
        _find_plugin(request)
        asked = provider_pb2.InvokeRequest(tok=request.tok, args=request.args)
        return read(getattr(self._do("Invoke", asked), "return"))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """What a component that is complete says of itself."""
        if not self._dry and _type(request.urn) != STACK_TYPE:
            self.components[request.urn] = read(request.outputs)
        return empty_pb2.Empty()

    def RegisterResource(self, request: Any) -> Any:
        """A component, or a step of the provider's."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        _find_plugin(request)
        with self._lock:
            if self._failure is not None:
                raise StepFailed(self._failure)
            try:
                record = self._step(urn, request)
            except StepFailed as failure:
                self._failure = str(failure)
                raise
        return resource_pb2.RegisterResourceResponse(urn=urn, id=record.id, object=write(record.outputs))

    def _step(self, urn: str, request: Any) -> Record:
        for alias in request.aliases:
            known = self.make_urn(request.parent, request.type, alias.spec.name)
            if urn not in self.records and known in self.records:
                self.records[urn] = self.records.pop(known)
        if urn not in self.records and request.importId:
            self.records[urn] = self._imported(urn, request)
            self.steps.append(("import", _name(urn)))
        old = self.records.get(urn)
        inputs = read(request.object)
        for path in request.ignoreChanges if old else ():
            _reset(path, old.inputs if old else {}, inputs)
        inputs = self._checked(urn, old, inputs)
        record = self._created(urn, request.type, inputs) if old is None else self._changed(urn, request, old, inputs)
        record.deleted_with, record.retained = request.deletedWith, request.retainOnDelete
        self._declared.add(urn)
        return record

    # Steps

    def read_anew(self, record: Record) -> Properties:
        """The inputs with which `pulumi import` would record an object that exists."""
        urn = next(urn for urn, one in self.records.items() if one is record)
        return read(self._do("Read", provider_pb2.ReadRequest(urn=urn, id=record.id)).inputs)

    def _imported(self, urn: str, request: Any) -> Record:
        found = self._do("Read", provider_pb2.ReadRequest(urn=urn, id=request.importId))
        if not found.id:
            raise StepFailed(f"resource '{request.importId}' does not exist")
        return Record(request.type, found.id, read(found.inputs), read(found.properties))

    def _checked(self, urn: str, old: Record | None, inputs: Properties) -> Properties:
        request = provider_pb2.CheckRequest(urn=urn, olds=write(old.inputs if old else {}), news=write(inputs))
        answer = self._do("Check", request)
        if answer.failures:
            raise StepFailed(answer.failures[0].reason)
        return read(answer.inputs)

    def _created(self, urn: str, kind: str, inputs: Properties) -> Record:
        context = in_process.context()
        try:
            answer = self.provider.Create(
                provider_pb2.CreateRequest(urn=urn, properties=write(inputs), preview=self._dry), context
            )
        except in_process.Refusal as refusal:
            if details := dict(context.trailing).get("grpc-status-details-bin"):
                half = provider_pb2.ErrorResourceInitFailed()
                status_pb2.Status.FromString(details).details[0].Unpack(half)
                self.records[urn] = Record(kind, half.id, read(half.inputs), read(half.properties), half_made=True)
            raise StepFailed(refusal.details()) from refusal
        self.records[urn] = Record(kind, answer.id, inputs, read(answer.properties))
        self.steps.append(("create", _name(urn)))
        return self.records[urn]

    def _changed(self, urn: str, request: Any, old: Record, inputs: Properties) -> Record:
        asked = provider_pb2.DiffRequest(urn=urn, id=old.id, olds=write(old.outputs), news=write(inputs))
        asked.ignoreChanges.extend(request.ignoreChanges)
        found = self._do("Diff", asked)
        if found.replaces:
            if not request.deleteBeforeReplace:
                raise NotImplementedError("a replacement before the deletion")
            self._delete_object(urn)
            del self.records[urn]
            self.steps.append(("replace", _name(urn)))
            return self._created(urn, request.type, inputs)
        if found.changes == provider_pb2.DiffResponse.DIFF_SOME or old.half_made:
            change = provider_pb2.UpdateRequest(
                urn=urn, id=old.id, olds=write(old.outputs), news=write(inputs), preview=self._dry
            )
            change.ignoreChanges.extend(request.ignoreChanges)
            outputs = read(self._do("Update", change).properties)
            self.records[urn] = Record(request.type, old.id, inputs, outputs)
            self.steps.append(("update", _name(urn)))
        return self.records[urn]

    def _delete_object(self, urn: str) -> None:
        if self._dry:
            return
        record = self.records[urn]
        self._do("Delete", provider_pb2.DeleteRequest(urn=urn, id=record.id, properties=write(record.outputs)))

    def _do(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.provider, method)(request, in_process.context())
        except in_process.Refusal as refusal:
            raise StepFailed(refusal.details()) from refusal


class _NoMocks(mocks.Mocks):
    """The monitor above answers everything itself."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        """Never called."""
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        """Never called."""
        raise AssertionError(args.name)


def _find_plugin(request: Any) -> None:
    """The engine takes the very version that is asked for, and this machine has the pinned one only."""
    if request.version != pins.version(pins.PLUGIN):
        raise StepFailed(f"no resource plugin 'azuread-v{request.version}' found")


def _reset(path: str, old: Properties, new: Properties) -> None:
    """Give the property at a path its old value, or take it out (`PropertyPath.Reset`).

    Raises NotImplementedError where the engine would only tell people that it ignores nothing.
    """
    name, _, inner = path.partition(".")
    if not inner:
        new.pop(name, None)
        new.update({name: old[name]} if name in old else {})
    elif name in old and name not in new:
        raise NotImplementedError(path)
    elif name in new:
        _reset(inner, old.get(name) or {}, new[name])


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
