"""What is done with the pushes at the end of a run, and what the commands beside the program see of a NocoBase 3."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from provisioning.doctor import nocobase as doctor
from provisioning.doctor.runner import Outcome
from provisioning.ending import Ended
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.mail_settings import require_all
from provisioning.nocobase3.places import LocalFile
from provisioning.status.differences import row_differences
from provisioning.status.read import read_link, read_row
from tests.provisioning.nocobase3.stack import API_KEY, CLIENT_ID, URL, Stack, declared_by

LOGIN = NocoBaseLogin(api_key=API_KEY)


class Known:
    """An output whose value is there already."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @staticmethod
    def all(*outputs: Known) -> Known:
        """All of them as one."""
        return Known([one.value for one in outputs])

    def apply(self, use: Callable[[Any], None]) -> None:
        """Use the value."""
        use(self.value)


def pushed(problem: str | None = None, restart_due: str | None = "") -> Any:
    """A push. restart_due: None for a NocoBase 2."""
    due = None if restart_due is None else Known(restart_due or None)
    return SimpleNamespace(problem=Known(problem), restart_due=due)


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program warns of; outputs are known at once."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.Output, "all", Known.all)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    monkeypatch.setattr(pulumi, "warn", said.append)
    return said


def test_a_due_restart_is_said_and_ends_only_a_run_that_would_remove_a_secret(warned: list[str]) -> None:
    require_all([pushed(restart_due="restart it")])
    assert warned == ["restart it"]
    with pytest.raises(Ended, match="restart it\nNo client secret was removed"):
        require_all([pushed(restart_due="restart it"), pushed(restart_due=None)], removes=True)
    require_all([pushed()], removes=True)


def test_a_failed_push_into_a_nocobase_3_ends_the_run_also_if_it_is_the_only_one(warned: list[str]) -> None:
    with pytest.raises(Ended, match="it failed\n0 of 1 NocoBase installations are served"):
        require_all([pushed("it failed")])
    assert warned == []


def test_status_sees_what_the_configuration_holds_and_that_a_restart_is_due(stack: Stack) -> None:
    stack.up()
    (push,) = stack.state.pushes
    row = read_row(push, LOGIN)
    assert row.client_id == CLIENT_ID
    link = read_link(push, LOGIN)
    assert link is not None
    assert link.client_id is None
    assert "has not been restarted" in row_differences(stack.state, push, row)[0]
    stack.server.start()
    stack.up()
    (push,) = stack.state.pushes
    assert row_differences(stack.state, push, read_row(push, LOGIN)) == ()
    link = read_link(push, LOGIN)
    assert link is not None
    assert link.client_id == CLIENT_ID
    text = stack.config.read_text().replace(CLIENT_ID, "11111111-2222-3333-4444-555555555555")
    stack.config.write_text(text)
    assert "instead of" in row_differences(stack.state, push, read_row(push, LOGIN))[0]


def test_the_link_shows_no_secret_that_somebody_has_put_into_the_configuration(stack: Stack) -> None:
    stack.up()
    (push,) = stack.state.pushes
    theirs = "Xq8~a.secret-of.somebody_1234567890"
    entry = f"{{type: microsoft, clientId: {CLIENT_ID}, clientSecret: {theirs}}}"
    text = f"mail: {{oauthCallbackUrl: 'https://x.example.com/{theirs}', providers: {{outlook: {entry}}}}}\n"
    stack.config.write_text(text, encoding="utf-8")
    stack.server.start()
    link = read_link(push, LOGIN)
    assert link is not None
    assert theirs not in link.redacted(str(link.redirect_uri))
    stack.config.unlink()
    assert read_link(push, LOGIN) is not None


def test_doctor_asks_a_nocobase_3_its_own_questions(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = declared_by({"nocobaseUrl": URL, "nocobaseConfigFile": str(stack.config)})
    assert doctor.ask_server(settings).said == f"{URL}, version 3"
    assert doctor.ask_plugins(settings).outcome is Outcome.OK
    assert doctor.ask_login({}, settings).outcome is Outcome.OK
    role = doctor.ask_role(LOGIN, settings)
    assert (role.outcome, str(stack.config) in role.said) == (Outcome.OK, True)
    with monkeypatch.context() as weak:
        weak.setattr(LocalFile, "weaknesses", lambda _: {"it is odd": "mend it", "it is open": "close it"})
        role = doctor.ask_role(LOGIN, settings)
    assert role.outcome is Outcome.WARNING
    assert role.said.endswith("can be read and edited, but it is odd, and it is open")
    assert role.remedy == "mend it\nclose it"
