"""Which azuread plugin is used: installed, downloaded or the stand-in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provisioning import pins
from sandbox.engine.azuread_plugin import EXECUTABLE, AzureadPlugin, PluginOrigin, azuread_plugin, plugin_folder
from sandbox.engine.find import Engine, Origin
from sandbox.engine.versions import Version
from sandbox.place import PROJECT, Place
from tests.sandbox.engine.conftest import Project, Tool

Answer = bool


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("PULUMI_HOME", raising=False)


def installed(pulumi_home: Path) -> Path:
    executable = plugin_folder(pulumi_home) / EXECUTABLE
    executable.parent.mkdir(parents=True)
    executable.write_text("official")
    executable.chmod(0o755)
    return executable


def choose(place: Place, *, answers: Answer = False, system: str = "Linux", cli: Path = Path("/none")) -> AzureadPlugin:
    place.home.mkdir(exist_ok=True)
    engine = Engine(cli, Version(3, 255, 0), Origin.PATH, bundled_host=True)
    return azuread_plugin(
        place, engine, lambda _: None, python=Path(sys.executable), answers=lambda: answers, system=system
    )


def test_plugin_of_the_user_is_linked(empty_place: Place, tmp_path: Path) -> None:
    official = installed(tmp_path / "user" / ".pulumi")
    chosen = choose(empty_place)
    assert chosen.origin is PluginOrigin.INSTALLED
    assert chosen.path.resolve() == official
    # The engine takes a real folder only.
    assert not chosen.path.parent.is_symlink()
    assert choose(empty_place).origin is PluginOrigin.INSTALLED


def test_plugin_in_the_users_pulumi_home(empty_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "elsewhere"))
    official = installed(tmp_path / "elsewhere")
    assert choose(empty_place).path.resolve() == official


def test_half_installed_plugin_is_left_alone(empty_place: Place, tmp_path: Path) -> None:
    official = installed(tmp_path / "user" / ".pulumi")
    Path(f"{official.parent}.partial").touch()
    assert choose(empty_place).origin is PluginOrigin.STAND_IN


def test_stand_in_without_network(empty_place: Place) -> None:
    chosen = choose(empty_place)
    assert chosen.origin is PluginOrigin.STAND_IN
    assert chosen.path == plugin_folder(empty_place.pulumi_home) / EXECUTABLE
    assert "does not answer" in chosen.reason
    assert "sandbox.azuread" in chosen.path.read_text()
    assert str(PROJECT) in chosen.path.read_text()


def test_stand_in_stays_without_asking_the_network_again(empty_place: Place) -> None:
    first = choose(empty_place)
    assert choose(empty_place, answers=True, cli=Path("/bin/false")) == first


def test_stand_in_gives_way_to_an_installed_plugin(empty_place: Place, tmp_path: Path) -> None:
    assert choose(empty_place).origin is PluginOrigin.STAND_IN
    installed(tmp_path / "user" / ".pulumi")
    assert choose(empty_place).origin is PluginOrigin.INSTALLED
    assert choose(empty_place).origin is PluginOrigin.INSTALLED


def test_the_sandboxs_own_stand_in_is_not_taken_for_an_installed_plugin(
    empty_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(empty_place)
    monkeypatch.setenv("PULUMI_HOME", str(empty_place.pulumi_home))
    assert choose(empty_place).origin is PluginOrigin.STAND_IN


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_stand_in_where_go_would_not_trust_the_sandbox(empty_place: Place, tmp_path: Path, system: str) -> None:
    installed(tmp_path / "user" / ".pulumi")
    chosen = choose(empty_place, answers=True, system=system)
    assert chosen.origin is PluginOrigin.STAND_IN
    assert "certificate" in chosen.reason


def test_plugin_is_downloaded_by_the_engine(empty_place: Place, tool: Tool) -> None:
    folder = plugin_folder(empty_place.pulumi_home)
    cli = tool(
        "pulumi",
        f'[ "$*" = "plugin install resource azuread v{folder.name.split("-v")[1]}" ] || exit 1\n'
        f'folder="$PULUMI_HOME/plugins/{folder.name}"; mkdir -p "$folder"; touch "$folder/{EXECUTABLE}"',
    )
    chosen = choose(empty_place, answers=True, cli=cli)
    assert chosen.origin is PluginOrigin.DOWNLOADED
    assert chosen.path == folder / EXECUTABLE
    assert choose(empty_place).origin is PluginOrigin.DOWNLOADED


@pytest.mark.parametrize(("script", "words"), [("echo gone >&2; exit 1", "gone"), ("true", "nothing arrived")])
def test_failed_download_is_followed_by_the_stand_in(empty_place: Place, tool: Tool, script: str, words: str) -> None:
    chosen = choose(empty_place, answers=True, cli=tool("pulumi", script))
    assert chosen.origin is PluginOrigin.STAND_IN
    assert words in chosen.reason


@pytest.mark.e2e
def test_engine_runs_the_plugin_without_a_warning(project: Project, tmp_path: Path) -> None:
    """A plugin that only says that it was started: the engine looks for it where the stand-in lies."""
    home = tmp_path / "pulumi"
    place = Place(project.folder, tmp_path, tmp_path, tmp_path)
    assert place.pulumi_home == home
    chosen = choose(place)
    chosen.path.write_text("#!/bin/sh\necho the stand-in was started >&2\nexit 7\n")
    project.write(
        "__main__.py",
        "import pulumi, pulumi_azuread as azuread\n"
        f"pinned = pulumi.ResourceOptions(version='{pins.version(pins.PLUGIN)}')\n"
        "azuread.Application('trial', display_name='trial', opts=pinned)\n",
    )
    done = project.up(PULUMI_HOME=str(home))
    assert "the stand-in was started" in done.stdout
    assert "$PATH" not in done.stdout
