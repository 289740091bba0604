"""The sandbox's variables in a shell: who signs in by them, and the way out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import cli, environment
from sandbox.entra import identity
from sandbox.nocobase import server
from sandbox.place import Place
from tests.pages import page


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A sandbox that was set up, with an engine of its own."""
    made = Place(tmp_path, tmp_path / "installed", tmp_path / "home", tmp_path / "cache")
    record = {"cli": str(made.tools / "pulumi"), "engine": "3.255.0, built", "entra_port": 1, "official_azuread": False}
    monkeypatch.setattr(environment, "load_record", lambda _: SimpleNamespace(**record))
    monkeypatch.setattr(environment, "certificates", lambda _: SimpleNamespace(bundle=tmp_path / "bundle.pem"))
    monkeypatch.setattr(server, "api_key", lambda _: "a key with 'quotes' and $signs")
    return made


def test_the_deployer_signs_in_unless_the_administrator_is_asked_for(place: Place) -> None:
    own, other = environment.environment(place), environment.environment(place, administrator=True)
    assert (own["ARM_CLIENT_ID"], other["ARM_CLIENT_ID"]) == (
        identity.DEPLOYER_CLIENT_ID,
        identity.ADMINISTRATOR_CLIENT_ID,
    )
    assert other["ARM_CLIENT_SECRET"] == identity.ADMINISTRATOR_SECRET
    different = {name for name in own if own[name] != other[name]}
    assert different == {"ARM_CLIENT_ID", "ARM_CLIENT_SECRET"}


def test_a_shell_is_as_it_was_after_the_way_out(place: Place) -> None:
    variables = environment.environment(place)
    assert str(place.tools) in variables["PATH"]
    way_out = environment.as_unset(variables, place, variables["PATH"])
    script = f"env -0\nprintf '\\1'\n{environment.as_shell(variables)}\n{way_out}\nenv -0"
    before, after = subprocess.run(
        ["/bin/sh", "-c", script], env=dict(os.environ), capture_output=True, text=True, check=True
    ).stdout.split("\1")
    known = [dict(item.partition("=")[::2] for item in text.split("\0") if item) for text in (before, after)]
    expected = {name: value for name, value in known[0].items() if name not in variables or name == "PATH"}
    expected["PATH"] = os.pathsep.join(dict.fromkeys(expected["PATH"].split(os.pathsep)))
    assert {**known[1], "_": ""} == {**expected, "_": ""}


def test_every_next_step_of_make_up_is_in_the_readme() -> None:
    steps = [line.split("#")[0].strip() for line in cli.NEXT_STEPS.splitlines() if line.startswith("  ")]
    text = page("sandbox/README.md").text + page("README.md").text
    assert len(steps) > 4
    assert [step for step in steps if step not in text] == []
    assert max(map(len, cli.NEXT_STEPS.splitlines())) <= 80
