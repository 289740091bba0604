"""`init`: asks for what a stack needs, and writes `Pulumi.<stack>.yaml`."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from provisioning.cli import layout
from provisioning.cli.common import can_be_asked, errors_as_sentences, if_interrupted, reject_usage, words
from provisioning.cli.init_lookups import Lookups
from provisioning.cli.init_next_steps import tell_consent, tell_next
from provisioning.cli.remedies import for_stack
from provisioning.entra.sign_in_settings import NAMESPACE, TENANT, sign_in_settings, use_configuration
from provisioning.errors import EngineFailed, Problem, ProvisioningError, SettingsError
from provisioning.pulumi_cli import INSTALL, NOT_FOUND, Pulumi

if TYPE_CHECKING:
    from provisioning.init.questions import Prompt

Answers = dict[str, str | list[str]]
"""What was asked for, by flag or by question: key → answer, a list for a setting that is one."""


def init(
    stack: Annotated[
        str | None, typer.Option("--stack", "-s", metavar="NAME", help="The stack; without it, it is asked for.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="The tenant: its ID, or a domain of it.")
    ] = None,
    nocobase_url: Annotated[
        str | None, typer.Option("--nocobase-url", metavar="URL", help="NocoBase's address as its users see it.")
    ] = None,
    nocobase_app: Annotated[
        str | None, typer.Option("--nocobase-app", metavar="NAME", help="A sub-application of NocoBase.")
    ] = None,
    nocobase_config_file: Annotated[
        str | None,
        typer.Option("--nocobase-config-file", metavar="FILE", help="Where a NocoBase 3 keeps its configuration."),
    ] = None,
    application_name: Annotated[
        str | None, typer.Option("--application-name", metavar="NAME", help="The application's name in Entra ID.")
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option(
            "--audience",
            metavar="AUDIENCE",
            help="Whose accounts may sign in: AzureADMultipleOrgs or AzureADandPersonalMicrosoftAccount, which "
            "NocoBase 2 serves, or AzureADMyOrg.",
        ),
    ] = None,
    scope: Annotated[list[str] | None, typer.Option("--scope", metavar="NAME", help="A scope; repeatable.")] = None,
    secret_lifetime_days: Annotated[
        str | None, typer.Option("--secret-lifetime-days", metavar="DAYS", help="Days that a client secret is valid.")
    ] = None,
    rotate_every_days: Annotated[
        str | None, typer.Option("--rotate-every-days", metavar="DAYS", help="Days after which a new one is issued.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="STATE", help="Where the state is kept: cloud, local, azblob://…, s3://… or file://…."
        ),
    ] = None,
    secrets_provider: Annotated[
        str | None,
        typer.Option(
            "--secrets-provider",
            metavar="PROVIDER",
            help="What encrypts the secrets in it: default, passphrase, azurekeyvault://…, awskms://…, gcpkms://… or "
            "hashivault://….",
        ),
    ] = None,
    no_checks: Annotated[
        bool, typer.Option("--no-checks", help="Do not ask whether tenant and NocoBase are there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: what is not given stays as it is.")] = False,
) -> None:
    """Ask for what a stack needs, check it, and write it to Pulumi.<stack>.yaml.

    On a stack that exists it changes only what was asked for. No secret is asked for or written.
    """
    given = {
        "tenantId": tenant,
        "nocobaseUrl": nocobase_url,
        "nocobaseApp": nocobase_app,
        "nocobaseConfigFile": nocobase_config_file,
        "applicationName": application_name,
        "audience": audience,
        "scopes": scope,
        "secretLifetimeDays": secret_lifetime_days,
        "rotateEveryDays": rotate_every_days,
    }
    answers: Answers = {key: _stripped(value) for key, value in given.items() if value is not None and value != []}
    if nocobase_url:
        from provisioning.init import questions  # noqa: PLC0415 - pydantic-settings is not for `--help`

        answers["nocobaseUrl"] = questions.completed_address(nocobase_url.strip())
    ask = not yes and can_be_asked()
    with errors_as_sentences():
        _raise_without_engine()
        run = _Init(ask, not no_checks, answers)
        try:
            run.run(stack, state, secrets_provider)
        except ProvisioningError:
            if kept := run.keep():
                words.print(kept)
            raise
        except (typer.Abort, KeyboardInterrupt):
            written = "The stack may be there, and its settings be written." if run.begun else "Nothing was written."
            if_interrupted(f"{written} {run.keep() or 'Run the command again.'}")
            raise


class _Init:
    """One run. ask: whether somebody can be asked. check: whether tenant and NocoBase are looked for."""

    def __init__(self, ask: bool, check: bool, answers: Answers) -> None:
        self.ask = ask
        self.check = check
        self.answers = answers
        self.begun = False
        """Whether something may be written."""
        self.written = False
        self._folder = Path.cwd()
        self._before: Answers = {}
        """What was answered in a run that was not completed."""
        self._around: Answers = {}
        """What was answered besides settings: stack, state, secrets provider."""
        self._settled: set[str] = set(answers)
        """Settings that are not asked for (again)."""
        self._secret_keys: set[str] = set()
        """Settings of an existing stack that are stored encrypted."""
        self._explained: set[str] = set()
        self._lookups = Lookups(ask)

    def keep(self) -> str:
        """Keep what was answered for the next run; says so, or nothing if there is nothing to keep."""
        from provisioning.init import remembered  # noqa: PLC0415 - as below

        if not self.ask or self.written or not remembered.remember(self._folder, {**self._around, **self.answers}):
            return ""
        return "What was answered is kept: the next `python -m provisioning init` proposes it."

    def run(self, stack: str | None, state: str | None, provider: str | None) -> None:
        """Ask, check, write, and say the next command."""
        from provisioning.entra.audiences import warning_for_nocobase  # noqa: PLC0415 - not for `--help`
        from provisioning.init import questions, remembered  # noqa: PLC0415 - pydantic-settings is not for `--help`

        found = remembered.recall(self._folder) if self.ask else {}
        if found and stack in (None, found.get("stack")):
            self._before = found
            words.print("The answers of the run that was not completed are proposed; Enter takes each.")
        if stack is None and self.ask:
            stack = self._asked(questions.STACK_NAME, "", questions.why_invalid_stack)
        if self._before.get("stack") != stack:
            self._before = {}
        if stack is not None:
            self._around["stack"] = stack
        engine, exists, kept_in = self._state(stack, state)
        lacking = [] if self.ask else questions.missing(stack, exists, self.answers)
        if not exists and not self.ask and provider is None and questions.usual_secrets_provider(kept_in) is None:
            lacking.append("--secrets-provider")
        if lacking or stack is None:
            reject_usage(f"Nobody can be asked here, and there is no {', '.join(lacking)}. Nothing was written.")
        _raise_if(questions.why_invalid_stack(stack))
        if exists and provider is not None:
            command = f"pulumi stack change-secrets-provider '{provider}' --stack {stack}"
            raise ProvisioningError(f"The stack {stack} has a secrets provider already. To change it: {command}")
        asks_provider = self.ask and provider is None
        if not exists:
            provider = self._provider(kept_in, provider)
        present = self._present(engine) if exists else {}
        config = self._settle_all(stack, present, exists)
        warning = warning_for_nocobase(config.get("audience", ""), config.get("tenantId"))
        if "audience" in self.answers and warning and not config.get("nocobaseConfigFile"):
            words.print(f"! {warning}", style="yellow")
        self.begun = True
        if not exists:
            self._create(engine, kept_in, provider or "", asks_provider)
        written = {TENANT if key == "tenantId" else key: value for key, value in self.answers.items()}
        if written:
            engine.configure(written)
        self.written = True
        remembered.forget(self._folder)
        if self.ask:
            words.print("")
        tell_consent(config, self.check)
        tell_next(stack, self.answers, config, engine, exists)

    def _state(self, stack: str | None, state: str | None) -> tuple[Pulumi, bool, str]:
        """The engine with the chosen state, whether that has the stack, and where it is if it has not.

        A state that does not answer is asked for again. Raises EngineFailed if it was not asked for.
        """
        while True:
            backend = self._backend(state)
            engine = Pulumi(stack, {"PULUMI_BACKEND_URL": backend} if backend else {})
            try:
                exists = stack is not None and self._exists(stack, engine)
                return engine, exists, backend or ("" if exists else Pulumi().backend())
            except EngineFailed as error:
                if state is not None or not self.ask:
                    raise
                words.print(f"✗ State: {error}", style="yellow")
                self._around.pop("state", None)
                self._before.pop("state", None)

    def _create(self, engine: Pulumi, kept_in: str, provider: str, asked: bool) -> None:
        """Make the stack; a secrets provider that was asked for, and does not work, is asked for again."""
        while True:
            try:
                engine.create(provider)
            except EngineFailed as error:
                if not asked:
                    raise
                words.print(f"✗ Secrets provider: {error}", style="yellow")
                self._before.pop("secretsProvider", None)
                provider = self._provider(kept_in, None)
            else:
                return

    def _settle_all(self, stack: str, present: Mapping[str, str], exists: bool) -> dict[str, str]:
        """Ask for every setting, and again for those that turn out wrong; return what the stack would have."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        usual = {} if exists else {questions.NAME.key: questions.usual_name(stack)}
        while True:
            for prompt in questions.PROMPTS:
                self._settle(prompt, present, exists, usual.get(prompt.key))
            self._propose_rotation(present)
            try:
                self._validate(self._config(present), stack)
            except SettingsError as error:
                wrong = set(map(_setting, error.problems))
                again = wrong & {prompt.key for prompt in questions.PROMPTS}
                if not (self.ask and again):
                    raise
                words.print(str(error), style="yellow")
                self._ask_again(*again)
            else:
                break
        if self.check and not self.ask:
            self._look_at_all(self._config(present))
        if "tenantId" in self.answers:
            _raise_if(questions.why_invalid_tenant_id(self._config(present)["tenantId"]))
        return self._config(present)

    def _ask_again(self, *keys: str) -> None:
        for key in keys:
            for answers in (self.answers, self._before):
                answers.pop(key, None)
            self._settled.discard(key)

    def _config(self, present: Mapping[str, str]) -> dict[str, str]:
        """What the stack would have."""
        return {**present, **{key: _text(value) for key, value in self.answers.items()}}

    def _settle(self, prompt: Prompt, present: Mapping[str, str], exists: bool, usual: str | None) -> None:
        """Ask, until the answer is valid, and what it names is there or a person insists."""
        while self.ask:
            self._prompt(prompt, present, exists, usual)
            reason = self._why_invalid(prompt.key, present)
            try:
                if reason is None and self.check:
                    self._look_at(prompt.key, self._config(present))
                    reason = self._why_invalid(prompt.key, present, looked=True)
            except ProvisioningError:
                self._ask_again(prompt.key)
            else:
                if reason is None:
                    return
                words.print(f"  {reason}", style="yellow")
                self._ask_again(prompt.key)

    def _why_invalid(self, key: str, present: Mapping[str, str], looked: bool = False) -> str | None:
        """Why an answer, which may be an option of the command, is not valid. looked: whether it was looked up."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        if key not in self.answers:
            return None
        answer = str(self.answers[key])
        if key != questions.TENANT.key:
            proposed = self._config(present)
            proposed.pop(questions.TENANT.key, None)
            return questions.why_invalid_setting(proposed, key)
        if looked or not self.check:
            return questions.why_invalid_tenant_id(answer)
        return questions.why_invalid_tenant(answer)

    def _propose_rotation(self, present: Mapping[str, str]) -> None:
        """Give a lifetime that was named alone the rotation that a person is offered."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        lifetime = self.answers.get("secretLifetimeDays")
        if isinstance(lifetime, str) and "rotateEveryDays" not in {**present, **self.answers}:
            usual = str(questions.usual_rotation(lifetime))
            if usual != questions.default("rotateEveryDays"):
                self.answers["rotateEveryDays"] = usual

    @staticmethod
    def _exists(stack: str, engine: Pulumi) -> bool:
        """Whether the backend has the stack, which may be named with its organization, and its project."""
        known = engine.stacks()
        if stack in known or "/" not in stack:
            return stack in known
        # The backend's own names leave out the organization that is the default.
        alike = [name for name in known if name.rpartition("/")[2] == stack.rpartition("/")[2]]
        for organization, project, name in (replace(engine, stack=one).identity().split("/") for one in alike):
            if stack in (f"{organization}/{name}", f"{organization}/{project}/{name}"):
                return True
        return False

    def _backend(self, state: str | None) -> str | None:
        """The address of the chosen backend; None for the one that Pulumi uses anyway."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        present = os.environ.get("PULUMI_BACKEND_URL", "")
        if state is None and self.ask:
            enter = "" if present else " Enter: the one of `pulumi login`."
            prompt = replace(questions.STATE, explained=questions.STATE.explained + enter)
            state = self._asked(prompt, present, lambda answer: None if not answer else _why_invalid_state(answer))
        if not state:
            return None
        _raise_if(_why_invalid_state(state))
        self._around["state"] = state
        chosen = questions.state_url(state)
        return None if chosen == present else chosen

    def _provider(self, url: str, provider: str | None) -> str:
        """What encrypts the secrets of a new stack."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        if provider is None and self.ask:
            usual = questions.usual_secrets_provider(url) or ""
            if usual and (reason := questions.why_invalid_secrets_provider(usual, os.environ)):
                words.print(f"  {usual}: {reason}", style="yellow")
                usual = ""
            chosen = self._asked(
                questions.SECRETS_PROVIDER,
                usual,
                lambda answer: questions.why_invalid_secrets_provider(answer, os.environ),
            )
        else:
            chosen = provider or questions.usual_secrets_provider(url) or ""
            _raise_if(questions.why_invalid_secrets_provider(chosen, os.environ))
        self._around["secretsProvider"] = chosen
        return chosen

    def _present(self, engine: Pulumi) -> dict[str, str]:
        """What an existing stack has, its tenant included."""
        config, self._secret_keys = engine.configuration()
        provider = engine.configuration_of(NAMESPACE)
        use_configuration(provider)
        tenant = provider.get(TENANT)
        return {**config, **({"tenantId": tenant} if tenant else {})}

    def _prompt(self, prompt: Prompt, present: Mapping[str, str], exists: bool, usual: str | None) -> None:
        """Ask, unless it is settled. An answer that changes nothing is none. usual: what is proposed otherwise."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        key = prompt.key
        if key in self._settled:
            return
        config_file = str(self.answers.get("nocobaseConfigFile") or present.get("nocobaseConfigFile") or "")
        by_default = questions.default(key, config_file)
        if usual is None:
            usual = by_default
        if key == "rotateEveryDays" and isinstance(lifetime := self.answers.get("secretLifetimeDays"), str):
            usual = str(questions.usual_rotation(lifetime))
        if key == questions.TENANT.key:
            usual = sign_in_settings()["tenantId"]
        shown = questions.as_line(present[key]) if present.get(key) else usual
        answer = self._asked(prompt, shown, lambda _: None)
        if key == questions.ADDRESS.key and (whole := questions.completed_address(answer)) != answer:
            words.print(f"  {whole}")
            answer = whole
        self._settled.add(key)
        current = shown if exists and present.get(key) else by_default
        if answer != current or (prompt.required and not current):
            self.answers[key] = questions.as_items(answer) if key == "scopes" else answer

    def _asked(self, prompt: Prompt, usual: str, rejects: Callable[[str], str | None]) -> str:
        """An answer that is taken. usual: what Enter takes. Raises typer.Abort if the person leaves."""
        before = self._before.get(prompt.key)
        if before is not None:
            usual = ", ".join(before) if isinstance(before, list) else before
        if prompt.key not in self._explained:
            self._explain(prompt)
        while True:
            typed: str = typer.prompt(prompt.text, default=usual, show_default=bool(usual), err=True)
            answer = prompt.chosen(typed.strip())
            reason = rejects(answer)
            if reason is None:
                if prompt.key in ("stack", "state", "secretsProvider"):
                    self._around[prompt.key] = answer
                return answer
            words.print(f"  {reason}", style="yellow")

    def _explain(self, prompt: Prompt) -> None:
        """Say what is asked, and what there is to choose from."""
        self._explained.add(prompt.key)
        words.print("")
        words.print(prompt.explained)
        if prompt.choices:
            numbers = [f"{number}  " if prompt.is_closed else "" for number in range(1, len(prompt.choices) + 1)]
            names = [f"  {number}{value}" for number, value in zip(numbers, prompt.choices, strict=True)]
            words.print(layout.named(names, [Text(meaning) for meaning in prompt.choices.values()], words.width))

    def _validate(self, config: dict[str, str], stack: str) -> None:
        """Take the address as it is shown from now on. Raises ProvisioningError if something is wrong."""
        from provisioning.init import questions  # noqa: PLC0415 - as above
        from provisioning.program.validation import validate  # noqa: PLC0415 - as above

        if "tenantId" in self.answers:
            _raise_if(questions.why_invalid_tenant(config["tenantId"]))
        own = {key: value for key, value in config.items() if key != "tenantId"}
        settings, problems = validate(own, self._secret_keys)
        if settings is None:
            raise SettingsError([replace(problem, remedy=self._remedy(problem, stack)) for problem in problems])
        if "nocobaseUrl" in self.answers:
            self.answers["nocobaseUrl"] = settings.nocobase_url

    def _remedy(self, problem: Problem, stack: str) -> str:
        """What puts a setting right: another answer, or a command for `stack`, which need not be the selected one."""
        from provisioning.init import questions  # noqa: PLC0415 - as above

        flag = {prompt.key: prompt.flag for prompt in questions.PROMPTS if prompt.key in self.answers}.get(
            _setting(problem)
        )
        own = flag is not None and "pulumi config" in problem.remedy
        return f"Name another one ({flag})." if own else for_stack(problem.remedy, stack)

    def _look_at(self, key: str, config: Mapping[str, str]) -> None:
        """Look whether that is there what the setting `key` names, if it was asked for.

        Raises ProvisioningError if not, and nobody overrides it.
        """
        from provisioning.init import questions  # noqa: PLC0415 - as above

        asked = set(self.answers)
        if key == questions.TENANT.key and key in asked:
            self._look_at_tenant()
        elif key == questions.ADDRESS.key and key in asked:
            # Its sub-application is named next, and has an email manager of its own.
            self._lookups.nocobase({name: value for name, value in config.items() if name != "nocobaseApp"}, False)
        elif key == questions.SUB_APPLICATION.key and {key, questions.ADDRESS.key} & asked:
            self._lookups.nocobase(config, True)

    def _look_at_all(self, config: Mapping[str, str]) -> None:
        """The same for all settings that were asked for."""
        if "tenantId" in self.answers:
            self._look_at_tenant()
        if {"nocobaseUrl", "nocobaseApp"} & set(self.answers):
            self._lookups.nocobase(config, True)

    def _look_at_tenant(self) -> None:
        found = self._lookups.tenant(str(self.answers["tenantId"]))
        if found is not None:
            self.answers["tenantId"] = found


def _stripped(value: str | list[str]) -> str | list[str]:
    """A flag's value as a person meant it: without the blanks around it."""
    return value.strip() if isinstance(value, str) else [item.strip() for item in value]


def _text(value: str | list[str]) -> str:
    """An answer as the engine hands a setting over."""
    return value if isinstance(value, str) else json.dumps(value)


def _why_invalid_state(answer: str) -> str | None:
    from provisioning.init import questions  # noqa: PLC0415 - as above

    known = questions.state_url(answer)
    return None if known else "Answer with one of: cloud, local, azblob://…, s3://… or file://…."


def _setting(problem: Problem) -> str:
    """The setting that is wrong, also where a part of it is."""
    return re.split(r"[.[]", problem.key)[0]


def _raise_without_engine() -> None:
    """Raise EngineFailed if there is no `pulumi` command: no answer could be used."""
    if shutil.which("pulumi") is None:
        raise EngineFailed(f"{NOT_FOUND} {INSTALL} Nothing was written.")


def _raise_if(reason: str | None) -> None:
    if reason:
        raise ProvisioningError(f"{reason} Nothing was written.")
