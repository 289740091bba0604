"""Writes packages/package-lock.json anew from packages/package.json: `python -m sandbox.nocobase.relock`.

Needed only when a version in package.json changes. It does with npm what npm cannot do alone:
- The preset package names about a hundred plugins as its dependencies, and npm installs a package only with all of
  them. At run time the preset skips every plugin that is not there. So its entry in the lock carries version and
  integrity, and no dependencies: `npm ci` then installs the genuine package, checked like every other, and no more.
- npm writes overrides that point to the local folder `nothing` as if it lay inside the depending package, which leaves
  dangling links. They are led back to the folder.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from shutil import copytree, ignore_patterns

from sandbox.nocobase.packages import NPM_FLAGS, SOURCE, find_node

PRESET = "@nocobase/preset-nocobase"


def relock() -> None:
    """Resolve package.json with npm and write the lock. Asks the configured registry."""
    manifest = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))
    version = manifest["dependencies"].pop(PRESET)
    npm = find_node().npm
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "packages"
        copytree(SOURCE, work, ignore=ignore_patterns("package-lock.json", "node_modules"))
        (work / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        flags = ["--package-lock-only", "--omit-lockfile-registry-resolved", *NPM_FLAGS]
        subprocess.run([npm, "install", *flags], cwd=work, check=True)
        shown = subprocess.run(
            [npm, "view", f"{PRESET}@{version}", "dist.integrity", "license", "--json"],
            cwd=work, check=True, capture_output=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        lock = json.loads((work / "package-lock.json").read_text(encoding="utf-8"))
    facts = json.loads(shown.stdout)
    packages = lock["packages"]
    packages[""]["dependencies"][PRESET] = version
    packages[f"node_modules/{PRESET}"] = {
        "version": version,
        "integrity": facts["dist.integrity"],
        "license": facts["license"],
    }
    for path in [path for path in packages if path.endswith("/nothing") and not packages[path].get("link")]:
        del packages[path]
    for entry in packages.values():
        if entry.get("link") and entry["resolved"].endswith("/nothing"):
            entry["resolved"] = "nothing"
    lock["packages"] = dict(sorted(packages.items()))
    (SOURCE / "package-lock.json").write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    relock()
