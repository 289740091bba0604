"""The README says what the program does: its tables are compared with what they describe."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under `heading`, without its head."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    end = next((at for at, line in enumerate(lines[1:], 1) if line.startswith("| where")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:end]]


def test_every_setting_is_in_the_table_with_its_default() -> None:
    schema = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    table = {row[0].strip("`"): row[1] for row in rows("Settings")}
    assert set(table) == set(schema)
    for key, entry in schema.items():
        default = entry["default"]
        if default not in ("", [], {}):
            named = re.findall(r"`([^`]+)`", table[key])
            assert named == ([str(default)] if not isinstance(default, list) else default), key


def test_every_make_target_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets


def test_every_output_that_it_names_is_exported() -> None:
    exported = set(re.findall(r'export\("(\w+)"', (PROJECT / "provisioning" / "program" / "outputs.py").read_text()))
    section = README.split("## Outputs\n", 1)[1].split("\n## ", 1)[0]
    assert exported <= set(re.findall(r"`(\w+)`", section))


def test_every_sandbox_command_that_it_names_exists() -> None:
    asked = [sys.executable, "-m", "sandbox", "--help"]
    said = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for command in re.findall(r"python -m sandbox (\w+)", README):
        assert f" {command} " in said
