"""Every error of this program that a person can act on.

ProvisioningError
├── SettingsError              settings of the stack are missing or not allowed; lists all of them
├── StateUnreadable            the engine cannot read the stack's last state
├── EngineFailed               a `pulumi` command failed, or `pulumi` is not installed
│   └── StackUnknown           no stack of that name, or none is selected
├── ClockRejected              a date for tests was set for a real tenant
├── ProxyUnusable              a proxy in the environment is of a kind that is not supported
├── CertificatesUnusable       the certificate authorities that the environment names cannot be used
├── SignInUnusable             the settings of the sign-in contradict each other, or are not supported
├── NoPipelineToken            a pipeline should sign in with its own token, and has none
├── CommitUnknown              a pipeline cannot tell which commit it may deploy
│   └── CloneUnusable          because git, or the job's clone, cannot say it
├── SecretRejected             the token endpoint does not accept a new client secret
├── DirectoryUnreadable        the application or its secrets cannot be read or changed in Entra ID
│   └── SignInRejected         Entra ID rejected the caller's sign-in, or there is none
├── SecretLimitReached         Entra ID allows no further client secret
├── AdoptionRejected           an application made by hand cannot be adopted
├── ApplicationProtected       the stack is to be destroyed, and its application is protected
├── ConsentExists              the tenant has consented to other scopes than the declared ones
├── RedirectUriMisplaced       a redirect URI is on another platform than Web, and cannot be moved
├── CallerLockedOut            a run would remove its own caller from the owners
├── Interrupted                somebody ended the run while it waited
├── NameTaken                  an application made by hand has the name of the one to be created
└── NocoBaseError
    ├── Unreachable            no connection, or none that can be trusted
    ├── NotReady               starting, or under maintenance: waiting may help
    ├── AnswerLost             a write was sent and not answered: only reading shows whether it was carried out
    ├── NotInstalled           the server runs, but its database was never installed
    ├── UnknownApplication     no such sub-application
    ├── Unauthorized           the API key or the password was rejected
    ├── Forbidden              the API key's role lacks the permission
    ├── EmailManagerMissing    the plugin is absent or not enabled
    ├── CredentialsInFile      a NocoBase 3 whose configuration the settings do not name
    ├── ConfigurationUnusable  the configuration of a NocoBase 3 cannot be read, edited or written
    ├── RestartFailed          the command that restarts NocoBase failed
    ├── UnknownLayout          the settings exist, but it is unclear which fields hold the credentials
    ├── ChangedMeanwhile       somebody else changed the settings between reading and writing
    ├── ForeignCredentials     NocoBase holds the credentials of another application
    ├── UnexpectedAnswer       any other answer of NocoBase
    └── NotVerified            written, but NocoBase does not use what was written

A message is one line: what happened, why, and what to do; only lists and lines to copy follow on lines of their own.
It never holds a secret.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from provisioning.foreign import harmless, redact


class ProvisioningError(Exception):
    """Something went wrong that a person can understand and fix.

    Its message is harmless, whatever is in it; a text from outside within it is marked by `foreign.quoted`.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(harmless(message))


class StateUnreadable(ProvisioningError):
    """The engine cannot read the stack's last state."""


class EngineFailed(ProvisioningError):
    """A `pulumi` command failed, or `pulumi` is not installed."""


class StackUnknown(EngineFailed):
    """The backend has no stack of that name, or none is selected. said: which there are; remedy: what to do."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(f"{said} {remedy}")
        self.said = harmless(said)
        self.remedy = harmless(remedy)


class CommitUnknown(ProvisioningError):
    """A pipeline cannot tell which commit it may deploy."""


class CloneUnusable(CommitUnknown):
    """`git` fails in the clone of a job, or the clone lacks the history that is needed."""


class ClockRejected(ProvisioningError):
    """PROVISIONING_TODAY is set, but Entra ID is a real one."""


class ProxyUnusable(ProvisioningError):
    """A proxy in the environment is of a kind that is not supported, or is no address."""


class CertificatesUnusable(ProvisioningError):
    """SSL_CERT_FILE or SSL_CERT_DIR names certificate authorities that cannot be used."""


class SignInUnusable(ProvisioningError):
    """The azuread provider's settings contradict each other, or name a way to sign in that is not supported."""


class NoPipelineToken(ProvisioningError):
    """A pipeline should sign in to Entra ID with the token of its job, and has none."""


class SecretRejected(ProvisioningError):
    """The token endpoint does not accept a new client secret; NocoBase keeps its old one."""


class DirectoryFailure(StrEnum):
    """Why Entra ID was not read or changed; see `entra.directory_errors`."""

    NO_ANSWER = "no answer"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    SIGN_IN = "sign-in"
    DENIED = "denied"
    NOT_FOUND = "not found"
    QUOTA = "quota"
    CONFLICT = "conflict"
    NOT_UNDERSTOOD = "not understood"
    OTHER = "other"


class DirectoryUnreadable(ProvisioningError):
    """The application cannot be read, or its client secrets cannot be changed, in Entra ID.

    reason: what Entra ID answered, in a few words. failure: the class of that. remedy: what to do about it.
    """

    def __init__(
        self, message: str, reason: str, failure: DirectoryFailure = DirectoryFailure.DENIED, remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.reason = harmless(reason)
        self.failure = failure
        self.remedy = harmless(remedy)


class SignInRejected(DirectoryUnreadable):
    """Entra ID rejected the sign-in of the caller, or there is none."""


class SecretLimitReached(ProvisioningError):
    """A rotation is due, but Entra ID allows the application no further client secret."""


class AdoptionRejected(ProvisioningError):
    """An application made by hand cannot be adopted by this stack; nothing was changed."""


class ApplicationProtected(ProvisioningError):
    """The stack is to be destroyed, and its application is protected; nothing was changed."""


class ConsentExists(ProvisioningError):
    """A tenant's consent is there already, for other scopes than are declared; Entra ID rejects a second one."""


class RedirectUriMisplaced(ProvisioningError):
    """A redirect URI of the stack's is registered for another platform than Web, and the provider cannot move it."""


class CallerLockedOut(ProvisioningError):
    """The run would remove its own caller from the owners."""


class Interrupted(ProvisioningError):
    """Somebody ended the run while it waited for an answer."""


class NameTaken(ProvisioningError):
    """The tenant already has an application, made by hand, of the name of the one that is to be created."""


class NocoBaseError(ProvisioningError):
    """NocoBase could not be read, written or verified.

    what: what happened, with the URL; why: what NocoBase said; remedy: what to do; status: HTTP's, if it answered.
    """

    def __init__(self, what: str, why: str, remedy: str, status: int | None = None) -> None:
        super().__init__(f"{what} ({why}). {remedy}")
        self.status = status
        self.what = harmless(what)
        self.why = harmless(why)
        self.remedy = harmless(remedy)

    def redacted(self, secrets: Collection[str]) -> NocoBaseError:
        """The same error with `secrets` redacted, which a server may echo anywhere."""
        what, why, remedy = (redact(text, secrets) for text in (self.what, self.why, self.remedy))
        return type(self)(what, why, remedy, self.status)


class Unreachable(NocoBaseError):
    """No connection to NocoBase, or none that can be trusted."""


class NotReady(NocoBaseError):
    """NocoBase is starting or under maintenance; waiting may help."""


class AnswerLost(NocoBaseError):
    """A write was sent, and its answer was lost: NocoBase may or may not have carried it out, or may still do so.

    Raised by `NocoBaseClient.post` alone. The caller reads what is there before it writes again. Uncaught, it is an
    error like the others, and the next run reads and writes again.
    """


class NotInstalled(NocoBaseError):
    """The NocoBase server runs, but its database was never installed; waiting does not help."""


class UnknownApplication(NocoBaseError):
    """The sub-application named by `nocobaseApp` does not exist."""


class Unauthorized(NocoBaseError):
    """NocoBase rejected the API key, or the account and its password."""


class Forbidden(NocoBaseError):
    """The API key is valid, but its role lacks the permission."""


class EmailManagerMissing(NocoBaseError):
    """The email manager plugin is not installed or not enabled."""


class CredentialsInFile(NocoBaseError):
    """A NocoBase 3 takes the credentials from its configuration, and the settings do not say where that is kept."""


class ConfigurationUnusable(NocoBaseError):
    """The configuration of a NocoBase 3 cannot be read, edited or written; it is as it was."""


class RestartFailed(NocoBaseError):
    """The command that restarts NocoBase failed, or took too long; the configuration has the new credentials."""


class UnknownLayout(NocoBaseError):
    """The email settings exist, but it is unclear which fields hold the credentials."""


class ChangedMeanwhile(NocoBaseError):
    """Somebody else changed the email settings between reading and writing."""


class ForeignCredentials(NocoBaseError):
    """NocoBase holds the credentials of an application that this stack did not create; they are not overwritten."""


class UnexpectedAnswer(NocoBaseError):
    """NocoBase gave an answer that this program does not expect."""


class NotVerified(NocoBaseError):
    """NocoBase does not use what was written, or what the settings declare."""


@dataclass(frozen=True)
class Problem:
    """One setting that is not allowed.

    key: the setting; value: its value, or None if it is missing or must not be shown; why: the rule that it breaks;
    remedy: a command or action that fixes it.
    """

    key: str
    value: str | None
    why: str
    remedy: str

    @property
    def named(self) -> str:
        """The setting, with its value if that may be shown."""
        return self.key if self.value is None else f"{self.key} = {self.value}"

    def __str__(self) -> str:
        return f"{self.named}\n    {self.why}\n    {self.remedy}"


class SettingsError(ProvisioningError):
    """One or more settings are missing or not allowed; `problems` has all of them, in the order of the settings."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "One setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} wrong; nothing was changed.\n{listed}")
