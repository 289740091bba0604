"""The troubles are those of the real server, and strike what they are meant to strike."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from sandbox import processes
from sandbox.certificates import certificates
from sandbox.faults import Fault
from sandbox.nocobase import server
from sandbox.nocobase.bad_day import TROUBLES, BadDay, trouble
from sandbox.place import PROJECT
from tests.sandbox.nocobase.conftest import NocoBase, client_for

pytestmark = pytest.mark.e2e

UPDATE = "/mailSettings:update?filter[type]=microsoft"


@pytest.fixture
def day(nocobase: NocoBase) -> Iterator[BadDay]:
    with BadDay(nocobase.url) as day:
        yield day


@pytest.fixture
def client(nocobase: NocoBase, day: BadDay) -> Iterator[httpx.Client]:
    with client_for(day.url, server.api_key(nocobase.place)) as client:
        yield client


def test_good_day_changes_nothing(nocobase: NocoBase, client: httpx.Client) -> None:
    parameters = {"filter": '{"type":"microsoft"}', "fields[]": ["id", "type"]}
    direct, passed = (c.get("/mailSettings:list", params=parameters) for c in (nocobase.client, client))

    assert (passed.status_code, passed.content) == (direct.status_code, direct.content)
    assert passed.headers["content-type"] == direct.headers["content-type"]


def test_callback_names_the_address_that_was_asked(nocobase: NocoBase, day: BadDay, client: httpx.Client) -> None:
    nocobase.write(clientId="i", clientSecret="s")

    address = client.get("/mail:oauth2url", params={"type": "microsoft"}).json()["data"]["url"]

    assert httpx.QueryParams(httpx.URL(address).query)["redirect_uri"] == f"{day.url}/admin/settings/mail/oauth2"


@pytest.mark.parametrize("name", sorted(TROUBLES))
def test_each_trouble_strikes_as_often_as_told(day: BadDay, client: httpx.Client, name: str) -> None:
    day.add(trouble(name, "GET .*app:getInfo", times=2, skip=1))

    statuses = [client.get("/app:getInfo").status_code for _ in range(4)]

    assert statuses == [200, TROUBLES[name]["status"], TROUBLES[name]["status"], 200]


def test_trouble_strikes_only_what_matches(day: BadDay, client: httpx.Client) -> None:
    day.add(trouble("server-error", "POST .*mailSettings:update", times=None))

    assert client.get("/mailSettings:list").status_code == 200
    assert client.post(UPDATE, json={"sort": 1}).status_code == 500


def test_too_many_requests_says_when_to_come_back(day: BadDay, client: httpx.Client) -> None:
    day.add(trouble("too-many-requests"))

    assert client.get("/app:getInfo").headers["retry-after"] == "1"


@pytest.mark.parametrize(("after", "stored"), [(False, "before"), (True, "pushed")])
def test_dropped_connection_before_or_after_the_write(
    nocobase: NocoBase, day: BadDay, client: httpx.Client, after: bool, stored: str
) -> None:
    nocobase.write(clientId="before")
    day.add(Fault(match="POST .*mailSettings:update", drop=True, after=after))

    with pytest.raises(httpx.RemoteProtocolError):
        client.post(UPDATE, json={"clientId": "pushed"})

    assert nocobase.row()["clientId"] == stored


def test_error_after_the_write_was_made(nocobase: NocoBase, day: BadDay, client: httpx.Client) -> None:
    day.add(trouble("bad-gateway", "POST", after=True))

    assert client.post(UPDATE, json={"clientId": "made"}).status_code == 502
    assert nocobase.row()["clientId"] == "made"


def test_delay(day: BadDay, client: httpx.Client) -> None:
    day.add(Fault(match=".", delay=0.5))

    with pytest.raises(httpx.ReadTimeout):
        client.get("/app:getInfo", timeout=0.2)


def test_refused_connections(day: BadDay, client: httpx.Client) -> None:
    day.refuse()
    with pytest.raises(httpx.ConnectError):
        client.get("/app:getInfo")
    day.accept()

    assert client.get("/app:getInfo").status_code == 200


def test_requests_are_listed_without_bodies(day: BadDay, client: httpx.Client) -> None:
    day.add(Fault(match="mailSettings:list", drop=True))
    client.post(UPDATE, json={"sort": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/mailSettings:list")

    assert [(seen["method"], seen["path"], seen["status"]) for seen in day.requests] == [
        ("POST", "/api/mailSettings:update", 200),
        ("GET", "/api/mailSettings:list", None),
    ]


def test_orders_over_http(day: BadDay, client: httpx.Client) -> None:
    faults = f"{day.url}/_sandbox/faults"
    orders = [{"trouble": "commanding", "times": 2}, {"match": "pm:list", "status": 418}]

    assert httpx.post(faults, json=orders).json() == {"set": orders, "waiting": 2}
    assert [fault["status"] for fault in httpx.get(faults).json()["value"]] == [503, 418]
    assert client.get("/app:getInfo").json()["error"]["code"] == "APP_COMMANDING"
    assert httpx.delete(faults).json() == {"set": [], "waiting": 0}
    assert client.get("/app:getInfo").status_code == 200
    assert httpx.get(f"{day.url}/_sandbox/requests").json()["value"] == day.requests


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"trouble": "no such"}, "no trouble is called"),
        ({"match": "(", "status": 500}, "subpattern"),
        ({"match": "x{9999999999999999999999}", "status": 500}, "too large"),
        ({"trouble": "commanding", "match": "("}, "subpattern"),
        ({"typo": 1}, "typo"),
    ],
)
def test_order_that_is_not_understood_is_refused(day: BadDay, order: dict[str, object], words: str) -> None:
    answer = httpx.post(f"{day.url}/_sandbox/faults", json=order)

    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_refusal_for_a_while_over_http(day: BadDay, client: httpx.Client) -> None:
    confirmed = httpx.post(f"{day.url}/_sandbox/refuse", json={"seconds": 1})
    assert confirmed.json() == {"refused_for_seconds": 1}
    seen: set[str] = set()
    deadline = time.monotonic() + 20
    while seen != {"refused", "answered"} and time.monotonic() < deadline:
        try:
            client.get("/app:getInfo")
            seen |= {"answered"} if "refused" in seen else set()
        except httpx.TransportError:
            seen.add("refused")
        time.sleep(0.05)

    assert seen == {"refused", "answered"}


@pytest.mark.parametrize("order", [{}, {"seconds": -1}, {"seconds": "soon"}, [], {"seconds": 1, "typo": 1}])
def test_refusal_that_is_not_understood_is_refused(order: object) -> None:
    with BadDay(f"http://127.0.0.1:{processes.free_port()}") as day:
        assert httpx.post(f"{day.url}/_sandbox/refuse", json=order).status_code == 400


def test_https_in_front_is_known_behind(nocobase: NocoBase) -> None:
    nocobase.write(clientId="i", clientSecret="s")
    own = certificates(nocobase.place)
    key = {"Authorization": f"Bearer {server.api_key(nocobase.place)}"}
    with BadDay(nocobase.url, certificates=own) as day:
        trusted = ssl.create_default_context(cafile=own.bundle)
        link = f"{day.url}/api/mail:oauth2url?type=microsoft"
        address = httpx.get(link, headers=key, verify=trusted, trust_env=False).json()["data"]["url"]

    assert day.url.startswith("https://")
    assert httpx.QueryParams(httpx.URL(address).query)["redirect_uri"] == f"{day.url}/admin/settings/mail/oauth2"


def test_nocobase_that_is_down_is_a_bad_gateway() -> None:
    with BadDay(f"http://127.0.0.1:{processes.free_port()}") as day:
        assert httpx.get(f"{day.url}/api/app:getInfo").status_code == 502


def test_command_serves_until_it_is_ended(nocobase: NocoBase) -> None:
    command = [sys.executable, "-m", "sandbox.nocobase.bad_day", "--upstream", nocobase.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        status = httpx.get(f"{url}/api/app:getInfo").status_code
        process.terminate()

    assert status == 200


def body(answer: httpx.Response) -> object:
    """Status and body, to be compared with a trouble's."""
    return {"status": answer.status_code, "body": answer.json()}


@pytest.mark.parametrize(
    ("name", "key", "action"),
    [
        ("empty-token", None, "mailSettings:list"),
        ("invalid-token", "no key", "mailSettings:list"),
        ("no-permissions", "member", "mailSettings:list"),
        ("wrong-password", None, "auth:signIn"),
    ],
)
def test_trouble_is_what_the_real_server_answers(nocobase: NocoBase, name: str, key: str | None, action: str) -> None:
    token = nocobase.key_for("member") if key == "member" else key
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    answer = httpx.post(f"{nocobase.url}/api/{action}", headers=headers, json={"account": "a", "password": "b"})

    assert body(answer) == TROUBLES[name]


def test_unknown_application_is_what_the_real_server_answers(nocobase: NocoBase) -> None:
    answers = {}
    deadline = time.monotonic() + 20
    while "APP_NOT_FOUND" not in answers and time.monotonic() < deadline:
        answer = nocobase.client.get("/app:getInfo", headers={"X-App": "unheard-of"})
        answers[answer.json()["error"]["code"]] = json.loads(json.dumps(body(answer)).replace("unheard-of", "sales"))

    expected = {"APP_PREPARING": TROUBLES["preparing"], "APP_NOT_FOUND": TROUBLES["application-not-found"]}
    # On a busy machine a third one is seen between the two.
    answers.pop("APP_INITIALIZING", None)
    assert answers == expected
