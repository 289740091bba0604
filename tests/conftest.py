"""What all tests share: one sandbox for the run, set up by the same code as `make up`."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import processes
from sandbox.place import PROJECT, Place, cache_folder, default_place
from sandbox.setup import install_steps, start_steps, stop
from sandbox.steps import run_steps

PROJECT_FILES = ("Pulumi.yaml", "__main__.py", "provisioning")


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """A running sandbox of its own beside that of `make up`: a copy of the project, a NocoBase and a tenant."""
    # A short path: NocoBase listens on a socket in it, and socket paths are limited to about 100 characters.
    with tempfile.TemporaryDirectory(prefix="nocobase-outlook-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder, "project"), default_place().installed, Path(folder, "home"), cache_folder())
        copy_project(place.project, processes.free_port())
        try:
            run_steps([*install_steps(place), *start_steps(place)], Console(file=io.StringIO()))
            yield place
        finally:
            stop(place)


def copy_project(target: Path, nocobase_port: int) -> None:
    """The Pulumi project in a folder of its own, with a dev stack whose NocoBase listens on `nocobase_port`."""
    target.mkdir(parents=True)
    for name in PROJECT_FILES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    (target / ".venv").symlink_to(PROJECT / ".venv")
    dev = (PROJECT / "Pulumi.dev.yaml").read_text()
    lines = [line for line in dev.splitlines() if "nocobaseUrl" not in line]
    at = lines.index("config:") + 1
    lines.insert(at, f"  nocobase-outlook:nocobaseUrl: http://localhost:{nocobase_port}")
    (target / "Pulumi.dev.yaml").write_text("\n".join(lines) + "\n")
