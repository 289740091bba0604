"""Plays recordings against the sandbox and compares every answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import grpc
import httpx
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from sandbox.entra import identity
from tests.contract.normalise import TEMPORARY, Difference, Names
from tests.contract.recordings import BY_HAND, BY_OTHERS, Scenario
from tests.sandbox.entra.service import Service

Json = dict[str, Any]
REQUESTS: dict[str, Any] = {
    "CheckConfig": provider_pb2.CheckRequest,
    "DiffConfig": provider_pb2.DiffRequest,
    "Configure": provider_pb2.ConfigureRequest,
    "Invoke": provider_pb2.InvokeRequest,
    "Check": provider_pb2.CheckRequest,
    "Diff": provider_pb2.DiffRequest,
    "Create": provider_pb2.CreateRequest,
    "Read": provider_pb2.ReadRequest,
    "Update": provider_pb2.UpdateRequest,
    "Delete": provider_pb2.DeleteRequest,
}
RECORDED_SECRET = "client_secret=x"
"""The recording hides the deployer's secret like this."""
RECORDED_ADDRESS = "https://localhost:8911"

Call = Callable[[str, Any], Any]


@dataclass
class Result:
    """What came of one scenario."""

    scenario: str
    compared: int = 0
    withdrawn: int = 0
    differences: list[str] = field(default_factory=list)


def stub_call(channel: grpc.Channel) -> Call:
    """Calls over gRPC, as the engine makes them."""
    stub = provider_pb2_grpc.ResourceProviderStub(channel)
    return lambda method, request: getattr(stub, method)(request, timeout=60)


def prepare(scenario: Scenario, service: Service, names: Names) -> None:
    """Make happen what happened before and during the scenario: changes by hand, faults."""
    if scenario.name in BY_HAND:
        BY_HAND[scenario.name](service.directory, names, scenario)
    for fault in scenario.faults:
        service.fault(**fault)
    if RECORDED_ADDRESS not in names.actual:
        names.bind(RECORDED_ADDRESS, service.address, "address")
    service.take_requests()


def play_provider(scenario: Scenario, service: Service, names: Names, call: Call) -> Result:
    """Every recorded call, in order. Stops at the first difference: later calls would only repeat it."""
    result = Result(scenario.name)
    prepare(scenario, service, names)
    try:
        for index, entry in enumerate(scenario.calls):
            method = entry["method"].rpartition("/")[2]
            if _withdrawn(entry):
                result.withdrawn += 1
                continue
            where = f"{scenario.name} call {index} {method}"
            _compare_call(entry, method, where, names, call)
            result.compared += 1
        compare_requests(scenario, service.take_requests(), names)
    except Difference as difference:
        result.differences.append(str(difference))
    return result


def _withdrawn(entry: Json) -> bool:
    """Whether the engine hung up before the real provider could answer; there is nothing to compare with."""
    return any("the client connection is closing" in error for error in entry.get("errors") or [])


def _compare_call(entry: Json, method: str, where: str, names: Names, call: Call) -> None:
    request = json_format.ParseDict(names.translate(entry["request"]), REQUESTS[method]())
    try:
        answer = json_format.MessageToDict(call(method, request))
        error = None
    except grpc.RpcError as refusal:
        code = refusal.code().name.title()
        answer, error = None, f"rpc error: code = {code} desc = {refusal.details()}"
    recorded_error = (entry.get("errors") or [None])[0]
    if recorded_error is None and error is None:
        names.compare(entry["response"], answer, where, subset="shortened" in entry.get("note", ""))
    elif recorded_error is None or error is None:
        raise Difference(f"{where}: recorded error {recorded_error!r}, the stand-in has {error!r}")
    else:
        names.compare(recorded_error, error, where)


def compare_requests(scenario: Scenario, seen: list[Json], names: Names) -> None:
    """The same requests with the same bodies and outcome, whatever their order: the engine's calls ran side by side."""
    own = scenario.http[BY_OTHERS.get(scenario.name, 0) :]
    recorded = Counter(_request(names.translate(_decoded(entry, entry["request"]))) for entry in own)
    actual = Counter(_request(_decoded(entry, entry["body"])) for entry in seen)
    if recorded != actual:
        raise Difference(
            f"{scenario.name} requests: recorded only {dict(recorded - actual)}, sandbox only {dict(actual - recorded)}"
        )


def _decoded(entry: Json, body: Any) -> Json:
    """A request with its query and body as values, without the deployer's secret."""
    if isinstance(body, str):
        form = [[name, value] for name, value in parse_qsl(body) if name != "client_secret"]
        body = json.loads(body) if body.startswith("{") else form
    return {
        **{key: entry[key] for key in ("method", "path", "status")},
        "query": [[*pair] for pair in parse_qsl(entry["query"])],
        "body": body,
    }


def _request(entry: Json) -> tuple[str, str, int, str]:
    """A request as something that can be counted; temporary names without their GUID."""
    rest = json.dumps([sorted(entry["query"]), entry["body"] or None], sort_keys=True)
    return entry["method"], entry["path"], entry["status"], TEMPORARY.sub("TERRAFORM_UPDATE", rest)


def play_http(scenario: Scenario, service: Service, names: Names, client: httpx.Client) -> Result:
    """Every recorded request to Graph, in order, sent by an ordinary HTTP client."""
    result = Result(scenario.name)
    prepare(scenario, service, names)
    try:
        for index, entry in enumerate(scenario.http):
            where = f"{scenario.name} request {index} {entry['method']} {entry['path']}"
            _compare_request(entry, where, service, names, client)
            result.compared += 1
    except Difference as difference:
        result.differences.append(str(difference))
    return result


def _compare_request(entry: Json, where: str, service: Service, names: Names, client: httpx.Client) -> None:
    body, headers = entry["request"], {}
    if isinstance(body, str):
        secret = httpx.QueryParams({"client_secret": identity.DEPLOYER_SECRET})
        content = names.translate(body).replace(RECORDED_SECRET, str(secret))
        headers["content-type"] = "application/x-www-form-urlencoded"
    else:
        content = json.dumps(names.translate(body)) if body is not None else ""
        headers["content-type"] = "application/json"
    query = {key: names.translate(value) for key, value in parse_qsl(entry["query"])}
    answer = client.request(
        entry["method"], names.translate(entry["path"]), params=query, content=content, headers=headers
    )
    if answer.status_code != entry["status"]:
        raise Difference(f"{where}: recorded {entry['status']}, the sandbox has {answer.status_code} {answer.text}")
    actual = answer.json() if answer.content else None
    if isinstance(actual, dict) and "access_token" in actual:
        client.headers["authorization"] = f"Bearer {actual['access_token']}"
    recorded = entry["response"]
    if "$select" in query and isinstance(recorded, dict):
        # The recorded tenant's server sent the whole object; Graph sends what is asked for.
        recorded = {key: value for key, value in recorded.items() if key in query["$select"].split(",")}
    names.compare(recorded, actual, where, subset=entry["path"].endswith("/owners"))
