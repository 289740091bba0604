"""Every error of this program that a person can do something about.

ProvisioningError
├── SettingsError              settings of the stack are missing or not allowed; holds all of them
├── StateUnreadable            the engine cannot read the stack's last state
├── EngineFailed               a `pulumi` command failed, or there is none
├── ClockRefused               a date for tests was given to a real tenant
├── ProxyUnusable              a proxy in the environment is of a kind that is not supported
├── CertificatesUnusable       the certificate authorities that the environment names cannot be used
├── SignInUnusable             the settings of the sign-in contradict each other, or are of a kind that is not supported
├── SignInRejected             Entra ID rejected the sign-in of the caller
├── NoPipelineToken            a pipeline is to sign in with its own token, and has none
├── SecretRefused              the token endpoint does not accept a new client secret
├── DirectoryUnreadable        the application or its secrets cannot be read or changed in Entra ID
├── NoRoomForSecret            somebody else's secrets are in the way of a new one
├── AdoptionRefused            an application made by hand cannot come under this stack
├── NameTaken                  an application made by hand has the name of the one to be created
└── NocoBaseError
    ├── Unreachable            no connection, or none that can be trusted
    ├── NotReady               starting, or under maintenance: waiting may help
    ├── AnswerLost             a write was sent and not answered: only reading tells whether it was made
    ├── NotInstalled           the server runs, its database was never installed
    ├── UnknownApplication     no such sub-application
    ├── Unauthorized           the API key or the password was refused
    ├── Forbidden              the API key's role may not do it
    ├── EmailManagerMissing    the plugin is absent or not enabled
    ├── CredentialsInFile      a NocoBase 3, which takes the credentials from its server's config.yml only
    ├── UnknownLayout          the settings exist but the credential fields cannot be told
    ├── ChangedMeanwhile       somebody else changed the settings between reading and writing
    ├── ForeignCredentials     NocoBase holds the credentials of an application of somebody else
    ├── UnexpectedAnswer       anything else that NocoBase answers
    └── NotProved              written, but NocoBase does not use what was written

A message is one line: what happened, why, and what to do; only lists and lines to copy follow on lines of their own.
It never holds a secret.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


class ProvisioningError(Exception):
    """Something went wrong that a person can understand and mend."""


class StateUnreadable(ProvisioningError):
    """The engine cannot read the stack's last state."""


class EngineFailed(ProvisioningError):
    """A `pulumi` command failed, or there is none."""


class ClockRefused(ProvisioningError):
    """PROVISIONING_TODAY is set although Entra ID is a real one."""


class ProxyUnusable(ProvisioningError):
    """A proxy in the environment is of a kind that is not supported, or is no address."""


class CertificatesUnusable(ProvisioningError):
    """SSL_CERT_FILE or SSL_CERT_DIR names certificate authorities that cannot be used."""


class SignInUnusable(ProvisioningError):
    """The azuread provider's settings contradict each other, or name a way to sign in that is not supported."""


class SignInRejected(ProvisioningError):
    """Entra ID rejected the sign-in of the caller, or there is none."""


class NoPipelineToken(ProvisioningError):
    """A pipeline is to sign in to Entra ID with the token of its job, and has none."""


class SecretRefused(ProvisioningError):
    """The token endpoint does not accept a new client secret; NocoBase was not given it."""


class DirectoryUnreadable(ProvisioningError):
    """The application cannot be read, or its client secrets cannot be changed, in Entra ID.

    reason: what Entra ID answered, in a few words.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NoRoomForSecret(ProvisioningError):
    """A rotation is due, but the secrets of somebody else leave no room for a new one."""


class AdoptionRefused(ProvisioningError):
    """An application made by hand cannot come under this stack; nothing was changed."""


class NameTaken(ProvisioningError):
    """The tenant already has an application, made by hand, of the name of the one that is to be created."""


def hide(text: str, secrets: Collection[str]) -> str:
    """`text` where a word stands in place of each of `secrets`."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


class NocoBaseError(ProvisioningError):
    """NocoBase could not be read, written or proved.

    what: what happened, with the URL; why: what NocoBase said; remedy: what to do; status: HTTP's, if it answered.
    """

    def __init__(self, what: str, why: str, remedy: str, status: int | None = None) -> None:
        super().__init__(f"{what} ({why}). {remedy}")
        self.status = status
        self.what = what
        self.why = why
        self.remedy = remedy

    def without(self, secrets: Collection[str]) -> NocoBaseError:
        """The same error where each of `secrets`, which a server may echo anywhere, is left out."""
        what, why, remedy = (hide(text, secrets) for text in (self.what, self.why, self.remedy))
        return type(self)(what, why, remedy, self.status)


class Unreachable(NocoBaseError):
    """No connection to NocoBase, or none that can be trusted."""


class NotReady(NocoBaseError):
    """NocoBase is starting or under maintenance; waiting may help."""


class AnswerLost(NocoBaseError):
    """A write was sent, and its answer was lost: NocoBase may have made it, may still be making it, or never will.

    Raised by `NocoBaseClient.post` alone. Whoever wrote reads what is there and goes on from that; a write is never
    repeated without reading first. Uncaught, it is an error like the others, and the next run settles it.
    """


class NotInstalled(NocoBaseError):
    """The NocoBase server runs, but nobody has installed its database; waiting does not help."""


class UnknownApplication(NocoBaseError):
    """The sub-application named by `nocobaseApp` does not exist."""


class Unauthorized(NocoBaseError):
    """NocoBase refused the API key, or the account and its password."""


class Forbidden(NocoBaseError):
    """The API key is valid, but its role has not the right."""


class EmailManagerMissing(NocoBaseError):
    """The email manager plugin is not there or not enabled."""


class CredentialsInFile(NocoBaseError):
    """This NocoBase takes the credentials from a file of its server, which this program does not write.

    The remedy ends with lines to copy.
    """


class UnknownLayout(NocoBaseError):
    """The email settings are there, but which fields hold the credentials cannot be told."""


class ChangedMeanwhile(NocoBaseError):
    """Somebody else changed the email settings while this program was at it."""


class ForeignCredentials(NocoBaseError):
    """NocoBase holds the credentials of an application that this stack did not create; they are not overwritten."""


class UnexpectedAnswer(NocoBaseError):
    """NocoBase answered something that this program does not know."""


class NotProved(NocoBaseError):
    """The credentials were written, but NocoBase does not use them."""


@dataclass(frozen=True)
class Problem:
    """One setting that is not allowed.

    key: the setting; value: what it is now, or None where it is missing or must not be shown; why: the rule that
    it breaks; remedy: a command or action that mends it.
    """

    key: str
    value: str | None
    why: str
    remedy: str

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {self.value}"
        return f"{self.key}{given}\n    {self.why}\n    {self.remedy}"


class SettingsError(ProvisioningError):
    """One or more settings are missing or not allowed; `problems` has all of them, in the order of the settings."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "One setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} wrong; nothing was changed.\n{listed}")
