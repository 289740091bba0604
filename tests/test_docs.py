"""Every Markdown page says what is there: links, files, commands and keys exist, tables equal the code."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from pydantic import BaseModel

from deployer.settings import Settings as DeployerSettings
from provisioning import cli
from provisioning.doctor import account
from provisioning.program.settings import InstallationSettings, MappingSettings, Settings
from sandbox.cli import app as sandbox_app
from tests.pages import PAGES, PROJECT, Page, bare, help_of, helps, options, page

PROGRAM = "python -m provisioning"
SANDBOX = "python -m sandbox"
PLACEHOLDER = "…"

HELPS = {
    program: (help_of(app, program), helps(app, program))
    for program, app in ((PROGRAM, cli.app), (SANDBOX, sandbox_app))
}
"""What `--help` prints of each program, and of each of its commands."""

every_page = pytest.mark.parametrize("found", PAGES, ids=str)


def test_the_pages_are_found() -> None:
    assert {"README.md", "CHANGELOG.md", "SECURITY.md", "docs/state.md", "pipelines/github/README.md"} <= set(
        map(str, PAGES)
    )


@every_page
def test_links_lead_to_files_and_sections_that_exist(found: Page) -> None:
    broken = []
    for link in found.links():
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = Page((found.path.parent / name).resolve() if name else found.path)
        if not target.path.exists() or (anchor and anchor not in target.anchors()):
            broken.append(link)
    assert broken == []


@every_page
def test_pictures_can_be_seen_on_any_ground_and_are_described(found: Page) -> None:
    for name, text in found.pictures().items():
        root = ElementTree.parse(found.path.parent / name).getroot()
        size = root.attrib["viewBox"].split()[2:]
        grounds = [it for it in root if it.get("class") == "ground" and [it.get("width"), it.get("height")] == size]
        assert len(grounds) == 1, name
        assert len(text) > 40, name


def test_the_picture_of_a_rotation_shows_the_defaults() -> None:
    (name,) = page("docs/rotation.md").pictures()
    defaults = declared("Pulumi.yaml")
    rotate, retire = int(str(defaults["rotateEveryDays"])), int(str(defaults["retireAfterDays"]))
    moments = (0, rotate, rotate + retire, 2 * rotate, 2 * rotate + retire, 3 * rotate)
    text = (PROJECT / "docs" / name).read_text()
    assert sorted(map(int, re.findall(r">day (\d+)<", text))) == sorted(moments)
    assert f"still accepted for {retire} days" in text


def test_every_command_has_its_moment() -> None:
    rows = page("docs/commands.md").table("when", "command", "what it changes")
    told = [code.split() for row in rows for code in re.findall(r"`([^`]+)`", row[1])]
    own = [words for words in told if words[0] != "pulumi"]
    known = HELPS[PROGRAM][1]
    assert {words[0] for words in own} == set(known)
    for words in own:
        assert {word for word in words if word.startswith("--")} <= set(options(known[words[0]]))


@every_page
def test_files_that_it_names_exist(found: Page) -> None:
    pattern = r"(?<![\w./-])(?:tests|policy|provisioning|docs|bootstrap|pipelines|fleet|sandbox)/[\w/.-]+\.\w+"
    named = {name for code in found.code() for name in re.findall(pattern, code)}
    folders = (PROJECT, found.path.parent)
    assert {name for name in named if not any((folder / name).exists() for folder in folders)} == set()


@every_page
def test_commands_that_it_shows_exist_with_their_options(found: Page) -> None:
    wrong = []
    for program, (top, known) in HELPS.items():
        for words in shown(found, program):
            named = [word for word in words if not word.startswith("--")]
            command = next((it for it in known if it.split() == named[: len(it.split())]), None)
            text = known[command] if command else top
            if (named and command is None) or not {it for it in words if it.startswith("--")} <= set(options(text)):
                wrong.append(f"{program} {' '.join(words)}")
    assert wrong == []


def shown(found: Page, program: str) -> Iterator[list[str]]:
    """The words behind `program` in each command line of a page, but where a placeholder is the command."""
    for line in lines(found):
        for rest in re.findall(rf"{re.escape(program)}(?![\w.])([^)|;&<>]*)", line):
            words = shlex.split(rest, comments=True)
            if words[:1] != [PLACEHOLDER]:
                yield [word.partition("=")[0] for word in words if word != PLACEHOLDER]


def lines(found: Page) -> Iterator[str]:
    """Each line of each code block, and each code span, of a page, with PLACEHOLDER for what a reader fills in."""
    for code in found.code():
        yield from re.sub(r"<[^<>\n]+>", PLACEHOLDER, code).splitlines()


@every_page
def test_modules_that_it_runs_exist(found: Page) -> None:
    named = {
        Path(*module.split("."))
        for line in lines(found)
        for module in re.findall(r"-m ((?:provisioning|sandbox|pipelines|tests)(?:\.\w+)*)", line)
    }
    missing = [
        str(module)
        for module in named
        if not (PROJECT / module.with_suffix(".py")).exists() and not (PROJECT / module / "__main__.py").exists()
    ]
    assert missing == []


@every_page
def test_make_targets_that_it_names_exist(found: Page) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {target for line in lines(found) for target in re.findall(r"^(?:time )?make ([a-z]+)", line)}
    assert named - targets == set()


@every_page
def test_keys_that_it_sets_are_settings(found: Page) -> None:
    keys = {*declared("Pulumi.yaml"), "nocobaseApiKey", "nocobaseApiKeys"}
    if not str(found).startswith(("README", "docs/")):
        keys |= set(declared("bootstrap/Pulumi.yaml"))
    parts = {"nocobaseMapping": aliases(MappingSettings), "nocobaseInstallations": aliases(InstallationSettings)}
    given = [shlex.split(rest) for line in lines(found) for rest in re.findall(r"pulumi config set (.+)", line)]
    set_here = [next(word for word in words if not word.startswith("--")) for words in given]
    wrong = []
    for key in set_here:
        first, *rest = re.sub(r"\[\d+\]", "", key).split(".")
        if (first != PLACEHOLDER and first not in keys) or (first in parts and rest and rest[0] not in parts[first]):
            wrong.append(key)
    assert wrong == []


def declared(name: str) -> dict[str, object]:
    """Key → default of each setting that a Pulumi.yaml declares."""
    config = yaml.safe_load((PROJECT / name).read_text())["config"]
    return {key: entry["default"] for key, entry in config.items()}


def aliases(model: type[BaseModel]) -> dict[str, object]:
    """Key → default of each field of a model of settings."""
    return {str(field.alias): field.default for field in model.model_fields.values()}


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        pytest.param("docs/settings.md", declared("Pulumi.yaml"), id="settings"),
        pytest.param("bootstrap/README.md", declared("bootstrap/Pulumi.yaml"), id="bootstrap"),
        pytest.param("docs/layouts.md", aliases(MappingSettings), id="layouts"),
        pytest.param("docs/installations.md", aliases(InstallationSettings), id="installations"),
    ],
)
def test_every_setting_is_in_the_table_with_its_default(name: str, defaults: dict[str, object]) -> None:
    table = {bare(row[0]): row[1] for row in page(name).table("key", "default", "meaning")}
    assert list(table) == list(defaults)
    for key, default in defaults.items():
        if isinstance(default, bool):
            assert table[key] == f"`{json.dumps(default)}`", key
        elif isinstance(default, (str, int, list)) and default not in ("", []):
            named = re.findall(r"`([^`]+)`", table[key])
            assert named == (default if isinstance(default, list) else [str(default)]), key


def test_what_is_required_is_called_so() -> None:
    for name, model in (("docs/settings.md", Settings), ("docs/installations.md", InstallationSettings)):
        required = [str(field.alias) for field in model.model_fields.values() if field.is_required()]
        table = page(name).table("key", "default", "meaning")
        assert [bare(key) for key, default, _ in table if default == "required"] == required


def test_every_output_is_in_the_table() -> None:
    sources = [PROJECT / "__main__.py", *(PROJECT / "provisioning").rglob("*.py")]
    exported = {name for source in sources for name in re.findall(r'export\("(\w+)"', source.read_text())}
    assert exported
    assert {bare(row[0]) for row in page("docs/outputs.md").table("output")} == exported


def test_the_roles_are_those_that_doctor_accepts_and_the_bootstrap_grants() -> None:
    said = " ".join(page("docs/roles.md").text.split())
    roles = {*account.ADMINISTRATORS.values(), *account.CONSENTERS.values(), *account.DEVELOPERS.values()}
    roles |= {*account.ENOUGH, *account.CONSENT}
    one_system = {"githubRepository": "contoso/mail", "tenantConsent": True, "mayAddOwners": True}
    identities = DeployerSettings.model_validate(one_system).identities
    granted = {permission for identity in identities for permission in identity.permissions}
    assert len(granted) == 5
    assert {role for role in (*roles, *granted) if role not in said} == set()


def test_the_index_names_every_page_once() -> None:
    index = [bare(re.sub(r"\[(.*)\]\(.*\)", r"\1", row[0])) for row in page("docs/README.md").table("page")]
    assert sorted(index) == sorted(path.name for path in (PROJECT / "docs").glob("*.md") if path.name != "README.md")
