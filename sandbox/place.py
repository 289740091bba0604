"""Where the things of one sandbox live on disk. Paths only: nothing here creates, starts or reads anything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The clone: the folder with Pulumi.yaml."""


@dataclass(frozen=True)
class Place:
    """The folders of one sandbox.

    project: the Pulumi project that the engine runs (the clone, or a copy of it in tests).
    installed: packages installed for this clone; shared by all sandboxes of the clone, removed by `make clean`.
    home: state, logs and process files of one running sandbox.
    cache: what is too expensive to make again for each clone (the built engine); `make clean` leaves it.
    """

    project: Path
    installed: Path
    home: Path
    cache: Path

    @property
    def logs(self) -> Path:
        """Log files of the background processes and of the installation steps."""
        return self.home / "logs"

    @property
    def processes(self) -> Path:
        """One file for each background process, with its id."""
        return self.home / "processes"

    @property
    def entra(self) -> Path:
        """State of the stand-in for Entra ID."""
        return self.home / "entra"

    @property
    def nocobase(self) -> Path:
        """NocoBase's storage folder: database, plugins, uploads."""
        return self.home / "nocobase"

    @property
    def nocobase_packages(self) -> Path:
        """The folder whose node_modules holds the NocoBase server."""
        return self.installed / "nocobase"

    @property
    def policy_virtualenv(self) -> Path:
        """What the policy pack runs on in tests."""
        return self.installed / "policy"

    @property
    def certificates(self) -> Path:
        """The sandbox's certificate authority and server certificate."""
        return self.home / "certificates"

    @property
    def pulumi_home(self) -> Path:
        """The engine's own folder (plugins, workspaces), apart from the user's ~/.pulumi."""
        return self.home / "pulumi"

    @property
    def pulumi_state(self) -> Path:
        """The file backend with the state of the `dev` stack."""
        return self.home / "state"

    @property
    def tools(self) -> Path:
        """Executables put in front of PATH: language host and stand-in plugins."""
        return self.home / "bin"


def cache_folder() -> Path:
    """The user's cache folder for this project, by the XDG base directory convention."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nocobase-outlook"


def default_place() -> Place:
    """The sandbox of this clone, which `make up` starts."""
    hidden = PROJECT / ".sandbox"
    return Place(project=PROJECT, installed=hidden / "installed", home=hidden / "dev", cache=cache_folder())
