"""What is wrong is said in a sentence before anything is changed, and the next `up` resumes from there."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from provisioning.errors import NocoBaseError
from provisioning.nocobase.preflight import check_installations
from provisioning.program import validation
from sandbox import processes
from sandbox.faults import Fault
from sandbox.nocobase import server
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack
from tests.e2e.in_process import in_process

__all__ = ["in_process"]

pytestmark = pytest.mark.e2e


GATE = "a-gateways-s3cr3t"


def refused(stack: Stack, *words: str, extra: dict[str, str] | None = None) -> None:
    """An `up` with its preview fails with `words`, without a traceback and without any change."""
    before = stack.applications, stack.row
    said = stack.pulumi("up", "--yes", ok=False, extra=extra)
    for word in words:
        assert word in said, said
    assert "Traceback" not in said
    assert (stack.applications, stack.row) == before


def test_all_wrong_settings_are_reported_at_once(stack: Stack) -> None:
    stack.set("nocobaseUrl", "http://nocobase.example.com")
    stack.set("scopes", ["IMAP.AccesAsUser.All"])
    stack.set("applicationName", "n" * 91)
    stack.set("redirectUris", ["https://n.example.com/callback?x=1"])
    stack.set("secretLifetimeDays", "731")
    stack.set("nocobasePatienceSeconds", "soon")
    stack.set("nocobaseMapping", ["clientId"])
    refused(
        stack,
        "8 settings are wrong; nothing was changed.",
        'nocobasePatienceSeconds = "soon"',
        "It must be a whole number",
        "It must be an object",
        "Only https is allowed outside this machine",
        "Nearest: IMAP.AccessAsUser.All",
        "at most 90",
        "query string",
        "1 to 730 days",
        "NOCOBASE_API_KEY",
        extra={"NOCOBASE_API_KEY": ""},
    )


def test_refused_before_and_after_the_first_push_with_a_key_in_secret_configuration(stack: Stack) -> None:
    foreign = {"clientId": "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11", "clientSecret": "foreign-secret"}
    stack.nocobase("mailSettings:update", foreign, filterByTk=str(stack.row["id"]))
    refused(stack, "pulumi config set nocobaseTakeOver 5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11")
    stack.set("nocobaseTakeOver", "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11")
    key, without = server.api_key(stack.place), {"NOCOBASE_API_KEY": ""}
    stack.pulumi("config", "set", "--secret", "nocobaseApiKey", key)
    stack.pulumi("config", "set", "--secret", "--path", "nocobaseHeaders.X-Gate", GATE)
    stack.up(extra=without)
    assert stack.credentials == (stack.outputs["clientId"], stack.outputs["clientSecret"])

    # From the first push on the push itself asks NocoBase, by the preview of it: before the application is changed.
    stack.set("applicationName", "another name")
    refused(stack, "rejected the login", extra={"NOCOBASE_API_KEY": "wrong"})

    stack.pulumi("destroy", "--yes", "--skip-preview", extra=without)
    assert stack.credentials == ("", "")
    everything = stack.state_file.read_text() + "\n".join(stack.said)
    assert key not in everything
    assert GATE not in everything


def test_credentials_that_are_not_proved_are_not_left_behind(stack: Stack) -> None:
    stack.set("redirectUris", ["https://elsewhere.example.com/oauth2"])
    said = stack.up(ok=False)
    assert "sends users back to" in said
    assert "Traceback" not in said
    assert len(stack.applications) == 1
    assert stack.credentials == ("", "")


def preflight(place: Place, key: str = "", **configuration: str) -> str:
    """What the program says of NocoBase before its first change, in this process."""
    values = {"nocobaseUrl": nocobase_url(place), "nocobasePatienceSeconds": "0", **configuration}
    keys = {"nocobaseApiKey": key or server.api_key(place)}
    declared, _, logins = validation.load({**values, **keys}, set(keys))
    with pytest.raises(NocoBaseError) as refusal:
        check_installations(declared.installations, logins, (), False, declared.nocobase_patience_seconds)
    return str(refusal.value)


@pytest.mark.usefixtures("in_process")
class TestBeforeTheFirstPush:
    """Each trouble with NocoBase has a sentence of its own."""

    def test_login_and_rights(self, stack: Stack) -> None:
        said = preflight(stack.place, key="wrong")
        assert f"NocoBase at {nocobase_url(stack.place)} rejected the login" in said
        assert "401 INVALID_TOKEN" in said
        member = stack.nocobase("apiKeys:create", {"name": "member", "role": {"name": "member"}, "expiresIn": "1d"})
        assert "the API key's role lacks the permission" in preflight(stack.place, key=member["token"])

    def test_a_sub_application_that_is_not_there(self, stack: Stack) -> None:
        said = preflight(stack.place, nocobaseApp="nowhere", nocobasePatienceSeconds="30")
        assert f"NocoBase at {nocobase_url(stack.place)} has no sub-application nowhere" in said
        assert "Correct nocobaseApp" in said

    def test_one_that_is_not_reached_is_waited_for(self, stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
        nowhere = f"http://localhost:{processes.free_port()}"
        said = preflight(stack.place, nocobaseUrl=nowhere, nocobasePatienceSeconds="1")
        assert "cannot be reached" in said
        assert "Is it running" in said
        assert "waiting for it, 1 s at most" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (trouble("commanding", times=None), "is starting or under maintenance"),
            (trouble("not-installed"), "is not installed yet"),
            (Fault(match="mailSettings|pm:listEnabled", status=404, times=2), "has no email manager"),
        ],
        ids=["booting", "not installed", "no email manager"],
    )
    def test_one_that_is_not_ready(self, stack: Stack, fault: Fault, words: str) -> None:
        with BadDay(nocobase_url(stack.place)) as proxy:
            proxy.add(fault)
            said = preflight(stack.place, nocobaseUrl=proxy.url)
        assert words in said
        assert "run the command again" in said

    def test_a_nocobase_3(self, stack: Stack) -> None:
        with NocoBase3("http://localhost") as server_3:
            said = preflight(stack.place, nocobaseUrl=server_3.url)
            assert [one["path"] for one in server_3.requests] == ["/api/mailSettings:list", "/api/app:getInfo"]
        assert f"NocoBase at {server_3.url} is version 3.0.1, which takes mail credentials from its config" in said
        assert "pulumi config set nocobaseConfigFile" in said


class NocoBase3(BadDay):
    """A server that says it is a NocoBase 3, and knows nothing else."""

    def _application(self) -> Starlette:
        async def info(_: Request) -> Response:
            return JSONResponse({"data": {"version": "3.0.1"}})

        return Starlette(routes=[Route("/api/app:getInfo", info)])
