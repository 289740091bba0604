"""Every file that repeats a pinned version says the same, and no pin grows old unnoticed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from importlib.metadata import version

import pytest

from provisioning import pins
from provisioning.pins import CLI, MONTHS, PLUGIN, Pin
from sandbox.azuread.provider import RECORDED
from sandbox.engine import build
from tests.figures import Say
from tests.golden import PROJECT

WHERE = {
    CLI: {
        "fleet/README.md": r"Pulumi CLI (\d+\.\d+\.\d+), which this project pins",
        "fleet/deployments.json": r'"pulumi/pulumi-python-3\.12:([^"]+)"',
        "fleet/kubernetes.yaml": r"image: pulumi/pulumi:(.+)-nonroot",
        "sandbox/engine/go.mod": r"github\.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)",
    },
    PLUGIN: {
        "sandbox/README.md": r"real azuread provider (\d+\.\d+\.\d+)",
        "sandbox/azuread/__init__.py": r"azuread provider plugin (\d+\.\d+\.\d+)",
    },
    "pulumi": {name: r"^pulumi==(\S+)" for name in ("requirements.in", "requirements.txt", "policy/requirements.txt")},
    "pulumi-azuread": {name: r"^pulumi-azuread==(\S+)" for name in ("requirements.in", "requirements.txt")},
    "pulumi-policy": {name: r"^pulumi-policy==(\S+)" for name in ("policy/requirements.in", "policy/requirements.txt")},
}
"""Pin → file → how the version is written there."""


PLACES = [(name, file, written) for name, files in WHERE.items() for file, written in files.items()]


@pytest.mark.parametrize(("name", "file", "written"), PLACES)
def test_a_version_is_the_same_wherever_it_is_written(name: str, file: str, written: str) -> None:
    found = re.findall(written, (PROJECT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(found) == {pins.version(name)}, f"{file} does not say what provisioning/pins.json says of {name}"


def test_what_runs_here_is_what_is_pinned() -> None:
    assert str(build.ENGINE) == pins.version(CLI)
    assert pins.version(PLUGIN) == RECORDED
    for package in ("pulumi", "pulumi-azuread"):
        assert version(package) == pins.version(package)


@pytest.mark.parametrize("name", pins.pins())
def test_no_pin_is_old(name: str) -> None:
    assert_young(name, pins.pins()[name], datetime.now(UTC).date())


def test_the_next_pin_that_grows_old_is_named(say: Say) -> None:
    name, pin = min(pins.pins().items(), key=lambda each: each[1].due)
    say(f"the next pin to be looked at: {name} {pin.version}, on {pin.due}")


def assert_young(name: str, pin: Pin, today: date) -> None:
    """Fail with the day and what to do once a pin is old."""
    if today < pin.due:
        return
    pytest.fail(
        f"{name} {pin.version} was released on {pin.released}, and is older than {MONTHS} months since {pin.due}. "
        "Nothing else is wrong. Either move it: write the new version and its day into provisioning/pins.json, then do "
        'what this file compares (docs/versions.md). Or keep it: write today\'s day as its "confirmed", and why.',
        pytrace=False,
    )


@pytest.mark.parametrize(
    ("pin", "due"),
    [
        (Pin("1", date(2026, 7, 10)), date(2027, 1, 10)),
        (Pin("1", date(2026, 6, 30)), date(2026, 12, 28)),
        (Pin("1", date(2026, 8, 31)), date(2027, 2, 28)),
        (Pin("1", date(2026, 1, 1), date(2026, 11, 28), "why"), date(2027, 5, 28)),
        (Pin("1", date(2026, 12, 1), date(2026, 11, 28), "why"), date(2027, 6, 1)),
    ],
)
def test_an_old_pin_is_named_with_its_day(pin: Pin, due: date) -> None:
    assert pin.due == due
    assert_young("x", pin, date.fromordinal(due.toordinal() - 1))
    with pytest.raises(pytest.fail.Exception, match=rf"older than 6 months since {due}.*pins\.json"):
        assert_young("x", pin, due)


def test_who_keeps_an_old_pin_says_why() -> None:
    assert [name for name, pin in pins.pins().items() if pin.confirmed and not pin.why] == []
