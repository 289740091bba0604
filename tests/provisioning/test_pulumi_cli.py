"""What the commands take from `pulumi`'s output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.errors import EngineFailed, StackUnknown
from provisioning.pulumi_cli import Engines, Pulumi
from provisioning.pulumi_events import Event
from provisioning.resource_types import PASSWORD_TYPE
from tests.provisioning.checkpoints import ONE_SECRET, encrypted, export, password
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi

CONFIG = {
    "nocobase-outlook:nocobaseUrl": {"value": "https://nocobase.example.com", "secret": False},
    "nocobase-outlook:scopes": {"value": '["email"]', "objectValue": ["email"], "secret": False},
    "nocobase-outlook:nocobaseApiKey": {"value": "the-key", "secret": True},
    "azuread:tenantId": {"value": "somewhere", "secret": False},
}

SECRET = (PASSWORD_TYPE, "mail-secret-a")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """One stack."""
    found = fake_pulumi(tmp_path, {"prod": export(*ONE_SECRET), "other": export()}, CONFIG)
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


def test_secrets_are_plain_only_if_asked_for(engine: FakePulumi) -> None:
    assert Pulumi().export(show_secrets=True).outputs[SECRET]["value"] == "value-a"
    (engine.folder / "prod.export").write_text(export(password("a", "2027-01-01", "2027-06-30", encrypted())))
    assert Pulumi().export().outputs[SECRET]["value"] is None
    assert [("--show-secrets" in call) for call in engine.asked] == [True, False]


def test_a_state_does_not_show_itself(engine: FakePulumi) -> None:
    assert "value-a" not in repr(Pulumi().export(show_secrets=True))


def test_configuration_is_the_projects_own(engine: FakePulumi) -> None:
    values, secret = Pulumi("other").configuration()
    assert values == {
        "nocobaseUrl": "https://nocobase.example.com",
        "scopes": '["email"]',
        "nocobaseApiKey": "the-key",
    }
    assert secret == {"nocobaseApiKey"}
    assert engine.asked[-1][-2:] == ["--stack", "other"]


def test_a_providers_configuration_is_decrypted_only_if_it_has_a_secret(engine: FakePulumi) -> None:
    mine = {"azuread:tenantId": {"value": "a-tenant"}, "nocobase-outlook:nocobaseApiKey": {"secret": True}}
    (engine.folder / "prod.config").write_text(json.dumps(mine))
    assert Pulumi().configuration_of("azuread") == {"azuread:tenantId": "a-tenant"}
    assert engine.asked == [["config", "--json", "--non-interactive"]]
    secret = {**mine, "azuread:clientSecret": {"value": "hush", "secret": True}}
    (engine.folder / "prod.config").write_text(json.dumps(secret))
    assert Pulumi().configuration_of("azuread")["azuread:clientSecret"] == "hush"
    assert "--show-secrets" in engine.asked[-1]


def test_settings_are_written_at_once_and_text_stays_text(engine: FakePulumi) -> None:
    Pulumi("other").configure({"tags": ["4711", "true", "+5"], "secretDescription": "2027"})
    ((*command, values, _, stack),) = [[part for part in call if part != "--non-interactive"] for call in engine.asked]
    assert (command, stack) == (["config", "set-all", "--json"], "other")
    assert json.loads(values) == {
        "tags": {"value": '["4711", "true", "+5"]', "objectValue": ["4711", "true", "+5"]},
        "secretDescription": {"value": "2027"},
    }


def test_names(engine: FakePulumi) -> None:
    assert Pulumi().stacks() == ["prod", "other"]
    assert (Pulumi().name(), Pulumi("other").name()) == ("prod", "other")


def test_a_failure_is_the_engines_own_words(engine: FakePulumi) -> None:
    (engine.folder / "other.export").unlink()
    with pytest.raises(EngineFailed, match="`pulumi stack export --stack other` failed: error: no stack named 'other'"):
        Pulumi("other").export(show_secrets=True)


NOT_SELECTED = "error: no stack selected; please use `pulumi stack select` or `pulumi stack init` to choose one"


@pytest.mark.parametrize(
    ("stack", "known", "words"),
    [
        ("prd", ["prod", "other"], "There is no stack prd. There are: prod, other; the nearest is prod. Name one"),
        ("x\x1by", ["prod"], r'There is no stack "x\x1by". There are: prod. Name one of them: --stack <name>'),
        (None, ["prod", "other"], "No stack is selected. There are: prod, other. Select one (pulumi stack select"),
        ("prod", [], "There is no stack prod: the state backend has none of this project. Make one: python -m prov"),
        (None, [], "No stack is selected: the state backend has none of this project. Make one: python -m prov"),
    ],
)
def test_a_stack_that_is_not_there_is_answered_by_those_that_are(
    tmp_path: Path, stack: str | None, known: list[str], words: str
) -> None:
    listed = json.dumps([{"name": name} for name in known])
    said = f"error: no stack named '{stack}' found" if stack else NOT_SELECTED
    command = tmp_path / "pulumi"
    command.write_text(f"#!/bin/sh\ncase $2 in ls) echo '{listed}' ;; *) cat >&2 {tmp_path}/said; exit 255 ;; esac\n")
    command.chmod(0o755)
    (tmp_path / "said").write_text(said)
    asked = Pulumi(stack, command=str(command))
    for ask in (asked.configuration, asked.export, asked.outputs, lambda: asked.configure({"audience": "x"})):
        with pytest.raises(StackUnknown) as caught:
            ask()
        assert str(caught.value).startswith(words)


FOLLOWED = """\
#!/bin/sh
case "$*" in
  *slow*)
    trap 'kill $!; echo "error: update cancelled" >&2; exit 255' INT
    sleep 30 >&- 2>&- &
    echo '{"diagnosticEvent": {"severity": "info", "message": "begun"}}'
    wait ;;
  *) echo "$PULUMI_ENABLE_STREAMING_JSON_PREVIEW $PWD $*" > said
     printf '{"diagnosticEvent": {"severity": "info", "message": "M\\303\\274ller"}}\\n'
     echo 'not JSON'
     echo '{"summaryEvent": {"resourceChanges": {"create": 2}}}' ;;
esac
"""


@pytest.fixture
def followed(tmp_path: Path) -> Pulumi:
    """A double of `pulumi` whose operations print events; the stack `slow` runs until it is told to end."""
    command = tmp_path / "followed"
    command.write_text(FOLLOWED)
    command.chmod(0o755)
    return Pulumi("prod", folder=tmp_path, command=str(command))


def test_an_operation_is_followed_while_it_runs(followed: Pulumi, tmp_path: Path) -> None:
    seen: list[Event] = []
    ended = followed.operate("up", "--refresh", on_event=seen.append)
    assert (ended.succeeded, ended.changes, list(ended.events)) == (True, {"create": 2}, seen)
    assert (tmp_path / "said").read_text().split() == [
        "true", str(tmp_path), "up", "--yes", "--skip-preview", "--json", "--refresh", "--non-interactive",
        "--stack", "prod",
    ]  # fmt: skip


def test_its_words_are_utf_8_in_any_locale(followed: Pulumi) -> None:
    program = (
        "import sys; from pathlib import Path; from provisioning.pulumi_cli import Pulumi\n"
        "ended = Pulumi(folder=Path(sys.argv[1]).parent, command=sys.argv[1]).operate('preview')\n"
        "print(ascii(ended.events[0].message))"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", program, followed.command]
    assert subprocess.check_output(command, env=environment, text=True) == "'M\\xfcller'\n"


def test_all_that_run_are_told_to_end_and_no_other_runs_long(followed: Pulumi) -> None:
    engines = Engines()
    slow = replace(followed, stack="slow", engines=engines)

    def stop(_: Event) -> None:
        engines.stop()

    assert slow.operate("up", on_event=stop).errors == ["update cancelled"]
    assert engines.told_to_end
    began = time.monotonic()
    assert not slow.operate("up").succeeded
    assert time.monotonic() - began < 20


PATIENT = """\
#!/bin/sh
trap 'sleep 1; echo saved > state; exit 255' INT
sleep 30 >&- 2>&- &
# Whoever starts it is waiting for it by then.
sleep 0.3
echo running > began
wait
"""


CHANGES = ["operate('up')", "create('default')", "configure({'audience': 'x'})", "adopt([], {})"]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_interrupted_at_the_terminal_is_waited_for(
    change: str, followed: Pulumi, tmp_path: Path
) -> None:
    Path(followed.command).write_text(PATIENT)
    program = (
        "import sys; from pathlib import Path; from provisioning.pulumi_cli import Pulumi\n"
        f"Pulumi(folder=Path(sys.argv[1]).parent, command=sys.argv[1]).{change}\n"
    )
    # Like a terminal's Ctrl-C, the signal goes to all programs of the group.
    with subprocess.Popen(
        [sys.executable, "-c", program, followed.command], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        while not (tmp_path / "began").exists():
            assert run.poll() is None, run.communicate()
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert (tmp_path / "state").read_text() == "saved\n"


def test_without_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineFailed, match="Install the Pulumi CLI"):
        Pulumi().stacks()
