"""A copy of the Pulumi project in a folder of its own, for a sandbox beside that of `make up`."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox.dev_stack import set_nocobase_url
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
    set_nocobase_url(target, nocobase_url)
