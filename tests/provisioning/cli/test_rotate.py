"""`rotate`: which earlier requests it goes on with, and how it tells one that it cannot read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from provisioning.cli import app, rotate
from provisioning.errors import EngineFailed

NOW = "2027-04-05T12:00:00Z"
LONG_AGO = "2027-01-01T00:00:00Z"


@dataclass
class Engine:
    """An engine with one setting, whose `up` issues a secret now if one was asked for by now."""

    setting: str | None
    issued: str = LONG_AGO
    ups: int = 0
    fails: bool = False
    stack: str | None = None
    set_to: dict[str, str] = field(default_factory=dict)

    def config(self, _: str) -> str | None:
        return self.setting

    def set_config(self, key: str, value: str) -> None:
        self.set_to[key] = self.setting = value

    def outputs(self) -> dict[str, Any]:
        return {"clientSecretIssued": self.issued, "clientSecretExpiry": "2027-10-02T00:00:00Z"}

    def up(self) -> None:
        self.ups += 1
        if self.fails:
            raise EngineFailed("`pulumi up` failed.")
        asked = datetime.fromisoformat(self.setting or LONG_AGO)
        if datetime.fromisoformat(self.issued) < asked <= datetime.fromisoformat(NOW):
            self.issued = NOW


def run(monkeypatch: pytest.MonkeyPatch, engine: Engine, *arguments: str) -> Result:
    monkeypatch.setenv("PROVISIONING_TODAY", NOW)
    monkeypatch.setenv("ARM_METADATA_HOSTNAME", "localhost:9")
    monkeypatch.setattr(rotate, "Pulumi", lambda _: engine)
    return CliRunner().invoke(app, ["rotate", *arguments])


@pytest.mark.parametrize(
    ("arguments", "key"),
    [((), "rotateRequestedAt"), (("--compromised",), "compromisedBefore")],
    ids=["asked", "leaked"],
)
@pytest.mark.parametrize(
    ("earlier", "asked_anew"),
    [
        (None, True),
        ("2026-12-01T00:00:00Z", True),
        ("2027-04-05T11:59:59Z", False),
        (NOW, False),
        ("2027-04-05T12:00:01Z", True),
        ("2126-04-05T14:00:00+02:00", True),
    ],
)
def test_only_a_request_that_can_be_carried_out_now_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], key: str, earlier: str | None, asked_anew: bool
) -> None:
    engine = Engine(earlier)
    said = run(monkeypatch, engine, *arguments)
    assert (said.exit_code, engine.ups, engine.issued) == (0, 1, NOW)
    assert engine.set_to == ({key: NOW} if asked_anew else {})


@pytest.mark.parametrize("earlier", ["soon", "2027-01-31", "2027-01-31T12:00:00", "31.01.2027"])
def test_a_request_that_is_no_time_is_told_by_its_setting(monkeypatch: pytest.MonkeyPatch, earlier: str) -> None:
    engine = Engine(earlier)
    said = run(monkeypatch, engine)
    assert (said.exit_code, engine.ups, said.stdout) == (1, 0, "")
    assert "rotateRequestedAt" in said.stderr
    assert "pulumi config rm rotateRequestedAt" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("engine", [Engine(None, fails=True), Engine(None, issued="2027-04-05T12:00:00Z")])
def test_a_rotation_that_fails_says_that_its_request_stays(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    if not engine.fails:
        engine.outputs = lambda: {"clientSecretIssued": LONG_AGO}  # type: ignore[method-assign]
    said = run(monkeypatch, engine, "--compromised")
    assert said.exit_code == 1
    assert "the next `pulumi up` resumes this rotation" in said.stderr
    assert "pulumi config rm compromisedBefore" in said.stderr


def test_ctrl_c_while_the_request_is_stored_says_that_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(None, stack="prod")

    def set_config(key: str, value: str) -> None:
        engine.set_to[key] = value
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "set_config", set_config)
    said = run(monkeypatch, engine)
    assert (said.exit_code, engine.ups, engine.set_to) == (130, 0, {"rotateRequestedAt": NOW})
    assert "the next `pulumi up` resumes this rotation" in said.stderr
    assert "pulumi config rm rotateRequestedAt --stack prod" in said.stderr


def test_a_rotation_that_succeeds_says_nothing_of_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "config rm" not in run(monkeypatch, Engine(None)).stderr
