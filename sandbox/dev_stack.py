"""The settings of the stack dev, begun as a copy of the file beside this module.

`Pulumi.dev.yaml` beside the program is a link into the folder of the sandbox, which git ignores. So what is changed on
this machine (the port, what `rotate` writes) is no change of the project.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

STACK = "dev"

BEGINNING = Path(__file__).with_name(f"Pulumi.{STACK}.yaml")

LINK = Path(".sandbox") / BEGINNING.name
"""Where the project's name for it leads."""


def settings_file(project: Path) -> Path:
    """The file that the project's name for it leads to, made if it is not there."""
    name = project / BEGINNING.name
    if not os.path.lexists(name) and (project / ".git").exists():  # `pulumi stack rm` removes the link
        name.symlink_to(LINK)
    file = name.resolve()
    if not file.exists():
        file.parent.mkdir(mode=0o700, exist_ok=True)
        partial = file.with_suffix(".partial")
        shutil.copy(BEGINNING, partial)
        partial.replace(file)
    return file


def set_nocobase_url(project: Path, nocobase_url: str) -> None:
    """Point the project's dev stack to another NocoBase."""
    file = settings_file(project)
    key = "  nocobase-outlook:nocobaseUrl:"
    lines = [
        f"{key} {nocobase_url}" if line.startswith(key) else line
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
