"""Bad days: each fault does to a request what it says, as often as it says."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.types import Message

from sandbox.faults import Fault, FaultMiddleware, Faults
from tests.sandbox.entra.service import Service, body_of

Json = dict[str, Any]
PATIENCE = 20.0
APPLICATION = {"displayName": "mail"}
THROTTLED = {"error": {"code": "TooManyRequests", "message": "slow down"}}


def order(entra: Service, *orders: Json) -> int:
    """Switch faults on over HTTP, as other processes do."""
    with entra.client() as client:
        return client.post("/_sandbox/faults", json=list(orders)).status_code


def applications(graph: httpx.Client) -> list[Json]:
    """All applications."""
    value: list[Json] = body_of(graph.get("/v1.0/applications"))["value"]
    return value


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "7"}), (503, {}), (403, {}), (500, {"Retry-After": "1"})]
)
def test_answers_something_else(entra: Service, status: int, headers: dict[str, str]) -> None:
    fault = {"match": "POST /v1.0/applications$", "times": 2, "status": status, "headers": headers, "body": THROTTLED}
    with entra.graph() as graph:
        assert order(entra, fault) == 200
        for _ in range(2):
            answer = graph.post("/v1.0/applications", json=APPLICATION)
            assert (answer.status_code, body_of(answer)) == (status, THROTTLED)
            assert answer.headers.get("retry-after") == headers.get("Retry-After")
        assert applications(graph) == []
        assert graph.post("/v1.0/applications", json=APPLICATION).status_code == 201


def test_answers_something_else_after_the_change_was_made(entra: Service) -> None:
    entra.fault("POST /v1.0/applications$", status=503, after=True)
    with entra.graph() as graph:
        assert graph.post("/v1.0/applications", json=APPLICATION).status_code == 503
        assert len(applications(graph)) == 1


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_drops_the_connection(entra: Service, after: bool, made: int) -> None:
    entra.fault("POST /v1.0/applications$", drop=True, after=after)
    with entra.graph() as graph:
        with pytest.raises(httpx.TransportError):
            graph.post("/v1.0/applications", json=APPLICATION)
        assert len(applications(graph)) == made


def test_delays(entra: Service) -> None:
    entra.fault("GET /v1.0/applications$", delay=0.3)
    with entra.graph() as graph:
        start = time.monotonic()
        assert applications(graph) == []
        assert time.monotonic() - start >= 0.3


def test_a_delay_ends_with_all_faults(entra: Service) -> None:
    entra.fault("GET /v1.0/applications$", delay=60)
    with entra.graph() as graph, ThreadPoolExecutor() as beside:
        answer = beside.submit(graph.get, "/v1.0/applications", timeout=PATIENCE)
        ends = time.monotonic() + PATIENCE
        while entra.faults.active and time.monotonic() < ends:
            time.sleep(0.01)
        graph.delete("/_sandbox/faults").raise_for_status()
        assert answer.result().status_code == 200


def test_a_delay_that_has_not_begun_ends_with_all_faults() -> None:
    faults, sent = Faults(), []
    faults.add(Fault(match="POST /", delay=60, status=503))

    async def receive() -> Message:
        faults.end()
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(*_: object) -> None:
        raise AssertionError

    request = FaultMiddleware(app, faults)({"type": "http", "method": "POST", "path": "/"}, receive, send)
    asyncio.run(asyncio.wait_for(request, PATIENCE))
    assert sent[0]["status"] == 503


def test_carries_out_late_what_nobody_waits_for(entra: Service) -> None:
    entra.fault("POST /v1.0/applications$", delay=0.2)
    with entra.graph() as graph:
        with pytest.raises(httpx.ReadTimeout):
            graph.post("/v1.0/applications", json=APPLICATION, timeout=0.05)
        assert applications(graph) == []
        time.sleep(0.3)
        assert len(applications(graph)) == 1


def test_answers_what_is_no_json(entra: Service) -> None:
    entra.fault("GET /v1.0/applications$", status=200, body='{"value": [')
    with entra.graph() as graph:
        answer = graph.get("/v1.0/applications")
        assert (answer.status_code, answer.text) == (200, '{"value": [')


def test_only_matching_requests_and_only_so_often(entra: Service) -> None:
    entra.fault("GET /v1.0/applications$", status=503, times=1, skip=1)
    with entra.graph() as graph:
        statuses = [graph.get(path).status_code for path in ("/v1.0/applications", "/v1.0/servicePrincipals") * 3]
    assert statuses == [200, 200, 503, 200, 200, 200]


def test_strikes_for_ever_until_cleared(entra: Service) -> None:
    entra.fault("GET /v1.0", status=503, times=None)
    with entra.graph() as graph:
        assert [graph.get("/v1.0/applications").status_code for _ in range(3)] == [503, 503, 503]
        assert body_of(graph.get("/_sandbox/faults"))["value"][0]["status"] == 503
        assert body_of(graph.delete("/_sandbox/faults")) == {"set": [], "waiting": 0}
        assert graph.get("/v1.0/applications").status_code == 200


def test_an_order_is_confirmed_as_it_was_understood(entra: Service) -> None:
    orders = [{"match": "addPassword$", "drop": True, "after": True}, {"kind": "behaviour", "hidden_reads": 3}]
    with entra.client() as client:
        assert body_of(client.post("/_sandbox/faults", json=orders)) == {"set": orders, "waiting": 1}
        moment = "2030-05-01T00:00:0"
        assert body_of(client.post("/_sandbox/clock", json={"now": f"{moment}0Z"}))["now"].startswith(moment)
        assert not body_of(client.delete("/_sandbox/clock"))["now"].startswith("2030")


def test_behaviours_of_the_tenant(entra: Service) -> None:
    assert order(entra, {"kind": "behaviour", "hidden_reads": 1, "maximum_secret_lifetime_days": 180}) == 200
    with entra.graph() as graph:
        made = body_of(graph.post("/v1.0/applications", json=APPLICATION))
        path = f"/v1.0/applications/{made['id']}"
        assert [graph.get(path).status_code for _ in range(2)] == [404, 200]
        refused = graph.post(f"{path}/addPassword", json={})
        assert body_of(refused)["error"]["code"] == "CredentialInvalidLifetimeAsPerAppPolicy"
        assert graph.delete("/_sandbox/faults").status_code == 200
        assert graph.post(f"{path}/addPassword", json={}).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"match": "(", "status": 503},
        {"match": "x{9999999999999999999999}", "status": 503},
        {"match": "(" * 5000 + ")" * 5000, "status": 503},
        {"match": "GET", "status": 199},
        {"match": "GET", "sttaus": 503},
        {"hidden_reads": -1},
        {"status": 503},
    ],
)
def test_wrong_orders_are_refused(entra: Service, wrong: Json) -> None:
    assert order(entra, wrong) == 400
    assert entra.faults.active == []


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("nonsense", "no JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"match": "x", "tims": 2}', "tims: Extra inputs are not permitted"),
        ('{"kind": "behaviour", "settling": -1}', "settling: Input should be greater than or equal to 0"),
        (
            '[{"match": "("}, {"match": "x", "status": 99}]',
            "match: Value error, not a regular expression: missing ), unterminated subpattern at position 0; "
            "status: Input should be greater than or equal to 200",
        ),
        ("[3]", "Input should be a valid dictionary or instance of Fault"),
    ],
)
def test_an_order_that_is_not_understood_says_why_in_few_words(entra: Service, sent: str, said: str) -> None:
    with entra.client() as client:
        answer = client.post("/_sandbox/faults", content=sent)
    assert (answer.status_code, body_of(answer)) == (400, {"error": {"code": "InvalidFault", "message": said}})


def test_so_does_a_clock(entra: Service) -> None:
    with entra.client() as client:
        answers = [client.post("/_sandbox/clock", content=sent) for sent in ("tomorrow", '{"now": "tomorrow"}')]
    assert {answer.status_code for answer in answers} == {400}
    said = [body_of(answer)["error"]["message"] for answer in answers]
    assert said[0].startswith("Invalid JSON: ")
    assert said[1].startswith("now: Input should be a valid datetime")
