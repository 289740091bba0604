"""A copy of the Pulumi project in a folder of its own, for a sandbox beside that of `make up`."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox.place import PROJECT

PROJECT_FILES = ("Pulumi.yaml", "__main__.py", "provisioning", "bootstrap", "pipelines", "requirements.txt")


def copy_project(target: Path, nocobase_url: str) -> None:
    """Copy the project to `target`, with a dev stack whose NocoBase is at `nocobase_url`; the virtualenv is shared."""
    target.mkdir(parents=True)
    for name in PROJECT_FILES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    (target / ".venv").symlink_to(PROJECT / ".venv")
    shutil.copy(PROJECT / "Pulumi.dev.yaml", target)
    set_nocobase_url(target, nocobase_url)


def set_nocobase_url(project: Path, nocobase_url: str) -> None:
    """Point the project's dev stack to another NocoBase."""
    file = project / "Pulumi.dev.yaml"
    key = "  nocobase-outlook:nocobaseUrl:"
    lines = [
        f"{key} {nocobase_url}" if line.startswith(key) else line
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
