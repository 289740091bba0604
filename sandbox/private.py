"""What only the owner of the sandbox may see: the database of NocoBase, for one, holds the client secret and keys."""

from __future__ import annotations

from pathlib import Path

UMASK = 0o077
"""For the programs of the sandbox: what they write is for nobody but the owner."""


def folder(path: Path) -> Path:
    """Make a folder for its owner's eyes only, also of one that is there already."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
