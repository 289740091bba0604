"""What the sandbox writes is for its owner's eyes only."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox import cli, private, processes
from sandbox.place import Place, default_place


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return path.stat().st_mode & 0o777


@pytest.fixture
def place(tmp_path: Path) -> Place:
    hidden = tmp_path / ".sandbox"
    return replace(default_place(), installed=hidden / "installed", home=hidden / "dev")


def test_a_folder_is_closed_also_if_it_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert [mode(private.folder(tmp_path / name)) for name in ("open", "new")] == [0o700, 0o700]


def test_every_command_closes_the_folder_of_the_sandbox(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.home.mkdir(parents=True)
    place.home.parent.chmod(0o755)
    monkeypatch.setattr(cli, "default_place", lambda: place)
    assert CliRunner().invoke(cli.app, ["down"]).exit_code == 0
    assert mode(place.home.parent) == 0o700


def test_what_its_programs_write_is_closed(place: Place) -> None:
    place.home.mkdir(parents=True)
    script = (
        f"import pathlib; pathlib.Path({str(place.home)!r}, 'folder').mkdir(); open({str(place.home / 'file')!r}, 'x')"
    )
    processes.start(place, "writer", [sys.executable, "-c", script], {}, place.home)
    deadline = time.monotonic() + 20
    while not (place.home / "file").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    processes.stop(place, "writer")
    assert [mode(place.home / name) for name in ("file", "folder")] == [0o600, 0o700]
