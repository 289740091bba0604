"""Programs and dynamic resources on the real engine: what a person sees, what is kept, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.golden import PROJECT
from tests.sandbox.engine.conftest import Project

pytestmark = pytest.mark.e2e

DYNAMIC = """
import json
import os
from pathlib import Path

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

HERE = Path(__file__).parent


def note(what, **facts):
    with (HERE / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"what": what, **facts}) + "\\n")


class NoteProvider(ResourceProvider):
    def configure(self, request):
        self.greeting = request.config.get("greeting")

    def create(self, props):
        note("create", greeting=self.greeting, text=props["text"])
        if props["text"] == "refused":
            raise RuntimeError("the text was refused")
        (HERE / "note.txt").write_text(props["text"])
        return CreateResult("note", {"text": props["text"]})

    def diff(self, id_, olds, news):
        return DiffResult(changes=olds["text"] != news["text"])

    def update(self, id_, olds, news):
        note("update", text=news["text"])
        (HERE / "note.txt").write_text(news["text"])
        return UpdateResult({"text": news["text"]})

    def read(self, id_, props):
        note("read")
        return ReadResult(id_, {**props, "text": (HERE / "note.txt").read_text()})

    def delete(self, id_, props):
        note("delete", text=props["text"])
        (HERE / "note.txt").unlink()


class Note(Resource):
    text: pulumi.Output[str]

    def __init__(self, name, text):
        super().__init__(NoteProvider(), name, {"text": text})
"""
NOTE = """
import os

import pulumi
from notes import Note

pulumi.export("text", Note("note", os.environ["TEXT"]).text)
"""


def test_program_runs_as_a_script_in_its_folder(project: Project) -> None:
    project.write(
        "__main__.py",
        "import atexit, os, sys, threading\n"
        "import pulumi\n"
        "atexit.register(print, 'at exit')\n"
        "pulumi.export('name', __name__)\n"
        "pulumi.export('folder', os.getcwd())\n"
        "pulumi.export('program', sys.argv)\n"
        "pulumi.export('python', sys.prefix)\n"
        "pulumi.export('main thread', threading.current_thread() is threading.main_thread())\n"
        "pulumi.export('stack', [pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()])\n"
        "pulumi.export('root', pulumi.get_root_directory())\n"
        "pulumi.export('sandbox', 'sandbox' in sys.modules)\n"
        "print('said by the program')\n"
        "sys.exit()\n",
    )
    done = project.up()
    assert done.returncode == 0, done.stdout
    assert "said by the program" in done.stdout
    assert "at exit" in done.stdout
    folder = str(project.folder)
    assert project.outputs() == {
        "name": "__main__",
        "folder": folder,
        "program": ["."],
        "python": f"{folder}/.venv",
        "main thread": True,
        "stack": ["organization", project.folder.name, "dev"],
        "root": folder,
        "sandbox": False,
    }


ENDS_IN_A_SENTENCE = """
import sys

sys.path.append({project!r})
from provisioning.ending import end_with

end_with('two settings are wrong:\\n  one\\n  two')
"""


def test_a_program_that_ends_in_a_sentence_shows_that_sentence_only(project: Project) -> None:
    project.write("__main__.py", ENDS_IN_A_SENTENCE.format(project=str(PROJECT)))
    for command in (project.up(), project.pulumi("preview", "--stack=dev")):
        assert command.returncode != 0
        assert command.stdout.count("error: two settings are wrong:") == command.stdout.count("error:")
        assert "Traceback" not in command.stdout
        diagnostics = command.stdout.split("Diagnostics:")[1]
        assert diagnostics.count("two settings are wrong") == 1


def test_a_run_error_is_a_sentence_of_the_programs_and_one_of_the_hosts(project: Project) -> None:
    """As with the official host; it is why the programs of this repository do without."""
    project.write("__main__.py", "import pulumi\nraise pulumi.RunError('a sentence')\n")
    done = project.up()
    assert "error: a sentence" in done.stdout
    assert "error: an unhandled error occurred: program exited with non-zero exit code: 1" in done.stdout


def test_exception_is_shown_with_the_programs_lines_first(project: Project) -> None:
    project.write(
        "__main__.py",
        "import pulumi\npulumi.export('x', pulumi.Output.from_input(1).apply(lambda x: {}['missing']))\n",
    )
    done = project.up()
    assert done.returncode != 0
    assert "KeyError: 'missing'" in done.stdout
    assert "line 2, in <lambda>" in done.stdout
    assert "language_host" not in done.stdout


def test_program_that_exits_with_a_sentence(project: Project) -> None:
    project.write("__main__.py", "import sys; sys.exit('stopped on purpose')")
    done = project.up()
    assert done.returncode != 0
    assert "stopped on purpose" in done.stdout
    assert "Traceback" not in done.stdout


INTERRUPTED = """
import sys, time
from pathlib import Path

sys.path.append({project!r})
from provisioning.ending import end_quietly_when_told

end_quietly_when_told()
Path("runs").touch()
time.sleep(300)
"""


def test_an_interrupted_program_has_nothing_to_say(project: Project) -> None:
    project.write("__main__.py", INTERRUPTED.format(project=str(PROJECT)))
    with subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack=dev"],
        cwd=project.folder,
        env=project.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as engine:
        wait_for(project.folder / "runs")
        engine.send_signal(signal.SIGINT)
        said, _ = engine.communicate(timeout=60)
    assert engine.returncode != 0
    for word in ("Traceback", "KeyboardInterrupt", "an unhandled error", "Resource monitor"):
        assert word not in said


@pytest.mark.parametrize("command", ["install", "new {template} --dir made --yes --name made --stack made", "about"])
def test_what_is_not_served_says_why(project: Project, command: str) -> None:
    project.write("__main__.py", "")
    template = project.folder / "template"
    template.mkdir()
    (template / "Pulumi.yaml").write_text("name: ${PROJECT}\nruntime: python\ntemplate:\n  description: x\n")
    done = project.pulumi(*command.format(template=template).split())
    assert "need the Pulumi CLI (https://www.pulumi.com/docs/install/)" in done.stdout
    assert "unimplemented" not in done.stdout.lower()


def test_secret_config_stays_secret(project: Project) -> None:
    secret = os.urandom(12).hex()
    assert project.pulumi("config", "set", "--secret", "key", secret, "--stack=dev").returncode == 0
    project.write(
        "__main__.py",
        "import pulumi\n"
        "config = pulumi.Config()\n"
        "pulumi.export('key', config.require_secret('key'))\n"
        "pulumi.export('length', len(config.require('key')))\n",
    )
    done = project.up()
    assert done.returncode == 0, done.stdout
    assert secret not in done.stdout
    assert secret not in project.state()
    shown = project.pulumi("stack", "output", "--show-secrets", "--json", "--stack=dev").stdout
    assert json.loads(shown) == {"key": secret, "length": 24}
    assert not [path for path in Path(project.variables["PULUMI_HOME"]).rglob("*") if holds(path, secret)]


def holds(path: Path, text: str) -> bool:
    return path.is_file() and text.encode() in path.read_bytes()


def calls(project: Project) -> list[dict[str, str]]:
    file = project.folder / "calls.jsonl"
    found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def test_life_of_a_dynamic_resource(project: Project) -> None:
    project.configure(greeting="hello")
    project.write("notes.py", DYNAMIC)
    project.write("__main__.py", NOTE)

    # A create that failed leaves nothing to delete.
    failed = project.up(TEXT="refused")
    assert failed.returncode != 0
    assert "the text was refused" in failed.stdout
    assert "language_host" not in failed.stdout
    assert "notes.Note" not in project.state()
    assert calls(project) == [{"what": "create", "greeting": "hello", "text": "refused"}]

    done = project.up(TEXT="one")
    assert "1 created" in done.stdout
    assert calls(project) == [{"what": "create", "greeting": "hello", "text": "one"}]

    same = project.up(TEXT="one")
    assert "2 unchanged" in same.stdout
    assert calls(project) == []
    for said in (done.stdout, same.stdout):
        assert "warning" not in said
        assert "Diagnostics" not in said

    assert "1 updated" in project.up(TEXT="two").stdout
    assert calls(project) == [{"what": "update", "text": "two"}]

    (project.folder / "note.txt").write_text("changed by hand")
    assert "1 updated" in project.pulumi("refresh", "--yes", "--skip-preview", "--stack=dev", TEXT="two").stdout
    assert calls(project) == [{"what": "read"}]
    assert "1 updated" in project.up(TEXT="two").stdout
    assert calls(project) == [{"what": "update", "text": "two"}]

    # Destroying runs no program: the provider comes out of the state.
    (project.folder / "__main__.py").unlink()
    assert "2 deleted" in project.pulumi("destroy", "--yes", "--skip-preview", "--stack=dev").stdout
    assert calls(project) == [{"what": "delete", "text": "two"}]


ENDLESS = "import time\nfrom pathlib import Path\nPath('runs').touch()\ntime.sleep(300)\n"
ENDLESS_CREATE = DYNAMIC.replace(
    '(HERE / "note.txt").write_text(props["text"])\n        return Create',
    "import time\n        (HERE / 'runs').touch()\n        time.sleep(300)\n        return Create",
)


@pytest.mark.parametrize(("where", "how"), [("program", "interrupts"), ("program", "kill"), ("create", "interrupts")])
def test_nothing_stays_behind(project: Project, where: str, how: str) -> None:
    """Ctrl-C twice (once asks to finish what is going on, which never ends here), or the engine killed outright.

    The SDK's dynamic provider does not see the engine's end: of a killed engine it finishes what it does.
    """
    project.write("notes.py", ENDLESS_CREATE)
    project.write("__main__.py", ENDLESS if where == "program" else NOTE)
    with subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack=dev"],
        cwd=project.folder,
        env={**project.variables, "TEXT": "one"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as engine:
        wait_for(project.folder / "runs")
        children = psutil.Process(engine.pid).children(recursive=True)
        assert len(children) >= (1 if where == "program" else 2)
        if how == "kill":
            engine.kill()
        else:
            engine.send_signal(signal.SIGINT)
            time.sleep(0.5)
            engine.send_signal(signal.SIGINT)
        engine.wait(timeout=30)
    # A create under way has five seconds to come to its end.
    deadline = time.monotonic() + (1 if where == "program" else 8)
    while (alive := [process for process in children if lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in alive:
        process.kill()
    assert alive == []


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that only waits for its parent to ask how it ended does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
