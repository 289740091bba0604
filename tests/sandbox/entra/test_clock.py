"""The tenant's clock: years pass in a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.entra import identity
from sandbox.entra.directory import Directory
from sandbox.entra.store import Store
from tests.sandbox.entra.service import Service, body_of

ME = identity.DEPLOYER_OBJECT_ID
EXPIRED = 7000222
SPRING = datetime(2027, 5, 1, tzinfo=UTC)


def near(text: str, moment: datetime) -> bool:
    """Whether a date of Graph is at most a minute after `moment`: the clock goes on while the test runs."""
    return timedelta(seconds=-1) <= datetime.fromisoformat(text) - moment <= timedelta(minutes=1)


def token_codes(entra: Service, client_id: str, secret: str) -> list[int]:
    """The token endpoint's error codes; [] if it gives a token."""
    with entra.client() as client:
        codes: list[int] = body_of(entra.ask_token(client, client_id, secret)).get("error_codes", [])
        return codes


def test_dates_come_from_it(entra: Service) -> None:
    entra.set_time(SPRING)
    with entra.graph() as graph:
        made = body_of(graph.post("/v1.0/applications", json={"displayName": "mail"}))
        path = f"/v1.0/applications/{made['id']}"
        issued = body_of(graph.post(f"{path}/addPassword", json={}))
        graph.delete(path)
        deleted = body_of(graph.get(f"/v1.0/directory/deletedItems/{made['id']}"))
    assert near(made["createdDateTime"], SPRING)
    assert near(issued["startDateTime"], SPRING)
    assert near(issued["endDateTime"], SPRING + timedelta(days=730))
    assert near(deleted["deletedDateTime"], SPRING)


def test_secret_expires_by_it_and_not_a_day_before(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "mail"}, ME, [])
    entra.directory.create_service_principal({"appId": made["appId"]}, ME, [])
    entra.set_time(SPRING)
    end = SPRING + timedelta(days=180)
    secret = entra.directory.add_password(made["id"], {"endDateTime": end.isoformat()}, ME)["secretText"]
    codes = []
    for moment in (SPRING, end - timedelta(days=1), end + timedelta(seconds=1), end + timedelta(days=730)):
        entra.set_time(moment)
        codes.append(token_codes(entra, made["appId"], secret))
    assert codes == [[], [], [EXPIRED], [EXPIRED]]
    entra.set_time(None)
    assert token_codes(entra, made["appId"], secret) == []


def test_sessions_outlive_its_jumps(entra: Service) -> None:
    with entra.graph() as graph:
        entra.set_time(SPRING + timedelta(days=3650))
        assert graph.get("/v1.0/applications").status_code == 200
        token = entra.token()
        entra.set_time(None)
        assert graph.get("/v1.0/applications", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_new_secret_settles_in_real_time(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "mail"}, ME, [])
    entra.directory.create_service_principal({"appId": made["appId"]}, ME, [])
    entra.behave(settling=600)
    secret = entra.directory.add_password(made["id"], {}, ME)["secretText"]
    entra.set_time(datetime.now(UTC) + timedelta(days=1))
    assert token_codes(entra, made["appId"], secret)[0] in (700016, 7000215, 7000222)


def test_it_goes_on_and_is_real_time_unless_set(entra: Service) -> None:
    def read() -> datetime:
        with entra.client() as client:
            return datetime.fromisoformat(body_of(client.get("/_sandbox/clock"))["now"])

    assert abs(read() - datetime.now(UTC)) < timedelta(minutes=1)
    entra.set_time(SPRING)
    first, second = read(), read()
    assert SPRING < first < second < SPRING + timedelta(minutes=1)
    entra.set_time(None)
    assert abs(read() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "wrong",
    [{}, [], {"now": "soon"}, {"now": "2027-05-01T00:00:00"}, {"now": "9999-12-31T00:00:00Z"}, {"now": None, "x": 1}],
)
def test_wrong_times_are_refused(entra: Service, wrong: Any) -> None:
    with entra.client() as client:
        assert client.post("/_sandbox/clock", json=wrong).status_code == 400
        assert client.post("/_sandbox/clock", content=b"{").status_code == 400
    assert abs(entra.directory.clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_restarted_sandbox_has_the_real_time(tmp_path: Path) -> None:
    Directory(Store(tmp_path)).clock.set(SPRING)
    assert abs(Directory(Store(tmp_path)).clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
