"""What is wrong is said in a sentence before anything is changed, and the next `up` goes on from there."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import processes
from sandbox.faults import Fault
from sandbox.nocobase import server
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.e2e


def refused(stack: Stack, *words: str, extra: dict[str, str] | None = None) -> str:
    """The output of an `up` that must fail with `words`, without a traceback and without any change."""
    said = stack.up(ok=False, extra=extra)
    for word in words:
        assert word in said, said
    assert "Traceback" not in said
    assert stack.applications == []
    assert stack.credentials == ("", "")
    return said


def test_all_wrong_settings_are_reported_at_once(stack: Stack) -> None:
    stack.set("nocobaseUrl", "http://nocobase.example.com")
    stack.set("scopes[0]", "IMAP.AccesAsUser.All", path=True)
    stack.set("applicationName", "n" * 91)
    stack.set("redirectUris[0]", "https://n.example.com/callback?x=1", path=True)
    stack.set("secretLifetimeDays", "731")
    refused(
        stack,
        "6 settings are wrong; nothing was changed.",
        "Only https is allowed outside this machine",
        "--path 'scopes[0]' IMAP.AccessAsUser.All",
        "at most 90",
        "query string",
        "1 to 730 days",
        "NOCOBASE_API_KEY",
        extra={"NOCOBASE_API_KEY": ""},
    )


def test_each_trouble_with_nocobase_has_its_own_sentence_and_the_next_up_goes_on(stack: Stack) -> None:
    url = nocobase_url(stack.place)
    refused(stack, f"NocoBase at {url} rejected the login", "401 INVALID_TOKEN", extra={"NOCOBASE_API_KEY": "wrong"})
    member = key_of_a_role_without_rights(stack)
    refused(stack, "the API key's role lacks the permission", extra={"NOCOBASE_API_KEY": member})

    stack.set("nocobaseApp", "nowhere")
    refused(stack, f"NocoBase at {url} has no sub-application nowhere", "Correct nocobaseApp")
    stack.pulumi("config", "rm", "nocobaseApp")

    stack.set("nocobaseUrl", f"http://localhost:{processes.free_port()}")
    stack.set("nocobasePatienceSeconds", "1")
    refused(stack, "cannot be reached", "waiting for it, 1 s at most", "Is it running")
    stack.set("nocobaseUrl", url)

    stack.up()
    assert stack.credentials[0] == stack.outputs["clientId"]


def test_booting_not_installed_and_no_email_manager_are_told_apart(stack: Stack) -> None:
    with BadDay(nocobase_url(stack.place)) as proxy:
        stack.set("nocobaseUrl", proxy.url.replace("127.0.0.1", "localhost"))
        stack.set("nocobasePatienceSeconds", "0")
        for fault, words in (
            (trouble("commanding", times=None), "is starting or under maintenance"),
            (trouble("not-installed"), "is not installed yet"),
            (Fault(match="mailSettings|pm:listEnabled", status=404, times=2), "has no email manager"),
        ):
            proxy.add(fault)
            refused(stack, words, "run the command again")
            proxy.clear()
        stack.up("--skip-preview")
        assert stack.credentials[0] == stack.outputs["clientId"]
        stack.pulumi("destroy", "--yes")


class NocoBase3(BadDay):
    """A server that says it is a NocoBase 3, and knows nothing else."""

    def _application(self) -> Starlette:
        async def info(_: Request) -> Response:
            return JSONResponse({"data": {"version": "3.0.1"}})

        return Starlette(routes=[Route("/api/app:getInfo", info)])


def test_a_nocobase_3_is_told_apart(stack: Stack) -> None:
    with NocoBase3("http://localhost") as server_3:
        stack.set("nocobaseUrl", server_3.url)
        refused(
            stack,
            f"NocoBase at {server_3.url} is version 3.0.1, which takes mail credentials from its server's config.yml",
            f"the redirect URI {server_3.url}/mail/oauth/callback",
            "clientSecret: <value of its client secret>",
        )
        assert [one["path"] for one in server_3.requests] == ["/api/mailSettings:list", "/api/app:getInfo"]


def test_trouble_after_the_first_push_is_seen_by_the_preview(stack: Stack) -> None:
    stack.up()
    before = stack.applications
    stack.set("applicationName", "another name")
    said = stack.up(ok=False, extra={"NOCOBASE_API_KEY": "wrong"})
    assert "rejected the login" in said
    assert "Traceback" not in said
    assert stack.applications == before
    stack.up()
    assert stack.applications[0]["displayName"] == "another name"


def test_credentials_of_another_application_are_not_overwritten(stack: Stack) -> None:
    foreign = {"clientId": "foreign-id", "clientSecret": "foreign-secret"}
    row_id = str(stack.row["id"])
    stack.nocobase("mailSettings:update", foreign, filterByTk=row_id)
    said = stack.up(ok=False)
    assert "pulumi config set nocobaseTakeOver foreign-id" in said
    assert stack.credentials == ("foreign-id", "foreign-secret")
    assert stack.applications == []
    stack.set("nocobaseTakeOver", "foreign-id")
    stack.up()
    assert stack.credentials[0] == stack.outputs["clientId"]


def test_credentials_that_are_not_proved_are_not_left_behind(stack: Stack) -> None:
    stack.set("redirectUris[0]", "https://elsewhere.example.com/oauth2", path=True)
    said = stack.up(ok=False)
    assert "sends users back to" in said
    assert stack.credentials == ("", "")
    stack.pulumi("config", "rm", "redirectUris")
    stack.up()
    assert stack.credentials[0] == stack.outputs["clientId"]


def test_emptied_fields_are_drift_for_refresh_and_up(stack: Stack) -> None:
    stack.up("--skip-preview")
    before = stack.credentials
    stack.nocobase("mailSettings:update", {"clientId": "", "clientSecret": ""}, filterByTk=str(stack.row["id"]))
    stack.pulumi("refresh", "--yes")
    stack.up("--skip-preview")
    assert stack.credentials == before


def test_an_api_key_in_secret_configuration_serves_up_and_destroy(stack: Stack) -> None:
    key = server.api_key(stack.place)
    stack.pulumi("config", "set", "--secret", "nocobaseApiKey", key)
    without = {"NOCOBASE_API_KEY": ""}
    stack.up(extra=without)
    assert stack.credentials[0] == stack.outputs["clientId"]
    assert key not in stack.state_file.read_text()
    stack.pulumi("destroy", "--yes", extra=without)
    assert stack.credentials == ("", "")
    assert key not in "\n".join(stack.said)


def key_of_a_role_without_rights(stack: Stack) -> str:
    """An API key of a role that may not read the email settings."""
    created = stack.nocobase("apiKeys:create", {"name": "member", "role": {"name": "member"}, "expiresIn": "1d"})
    return str(created["token"])
