"""Fake tools for the unit tests, and for the others the real engine with throw-away projects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from sandbox.dev_stack import BEGINNING
from sandbox.engine.find import Engine
from sandbox.engine.obtain import engine
from sandbox.engine.tools import environment, install_tools
from sandbox.place import Place, cache_folder
from tests import empty_stack
from tests.figures import count_commands

Tool = Callable[[str, str], Path]
SECONDS = 120.0
SALT = yaml.safe_load(BEGINNING.read_text())["encryptionsalt"]
"""Fits the sandbox's passphrase."""


@pytest.fixture
def empty_place(tmp_path: Path) -> Place:
    """A place on a machine on which nothing has been installed yet."""
    return Place(tmp_path / "project", tmp_path / "installed", tmp_path / "home", tmp_path / "cache")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Makes a shell script an executable on PATH, which holds nothing else but the system's own tools."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


@dataclass(frozen=True)
class Project:
    """A Pulumi project with one stack, `dev`, run by the real engine."""

    folder: Path
    variables: dict[str, str] = field(repr=False)

    def write(self, name: str, text: str) -> None:
        """Write one of the project's files."""
        (self.folder / name).write_text(text)

    def pulumi(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine to its end; stderr goes with stdout."""
        return subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *arguments],
            cwd=self.folder,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def up(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """`pulumi up` without a preview."""
        return self.pulumi("up", "--yes", "--skip-preview", "--stack=dev", **variables)

    def configure(self, **settings: str) -> None:
        """Write plain settings into the stack's file."""
        config = {f"{self.folder.name}:{name}": value for name, value in settings.items()}
        self.write("Pulumi.dev.yaml", yaml.safe_dump({"encryptionsalt": SALT, "config": config}))

    @property
    def state_file(self) -> Path:
        """The engine's checkpoint of the stack."""
        home = Path(self.variables["PULUMI_HOME"]).parent / "state"
        return home / ".pulumi" / "stacks" / self.folder.name / "dev.json"

    def state(self) -> str:
        """The state as it lies on disk."""
        return self.state_file.read_text()

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, by its state."""
        resources = json.loads(self.state())["checkpoint"]["latest"]["resources"]
        found: dict[str, Any] = next(one["outputs"] for one in resources if one["type"] == "pulumi:pulumi:Stack")
        return found


@pytest.fixture(scope="session")
def real_engine() -> Iterator[tuple[Place, Engine]]:
    """The engine of this machine, with tools of its own."""
    with TemporaryDirectory(prefix="engine-") as folder:
        place = Place(Path(folder, "project"), Path(folder, "installed"), Path(folder, "home"), cache_folder())
        found = install_tools(place, engine(place, lambda _: None), Path(sys.executable))
        count_commands(place.tools, found.cli)
        yield place, found


@pytest.fixture
def project(real_engine: tuple[Place, Engine], tmp_path: Path) -> Project:
    """An empty project of its own, with its stack as `pulumi stack init` makes it."""
    place, found = real_engine
    folder = tmp_path / f"trial-{os.urandom(4).hex()}"
    folder.mkdir()
    variables = {**os.environ, **environment(place, found, acquire_plugins=False)}
    made = Project(folder, variables)
    (folder / ".venv").symlink_to(sys.prefix)
    made.write("Pulumi.yaml", f"name: {folder.name}\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\n")
    made.configure()
    made.state_file.parent.mkdir(parents=True)
    made.state_file.write_text(empty_stack.checkpoint(folder.name, "dev", SALT))
    return made
