"""What Entra ID rejects in an application registration: pure functions, to validate settings before a change.

Each returns the reason, or None if the value is valid. The rules are from Microsoft's documentation, "Supported
accounts validation" and "Redirect URI restrictions and limitations".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from urllib.parse import urlsplit

from provisioning.addresses import AddressRejected, normalized_uri
from provisioning.entra.permissions import Permission
from provisioning.entra.tags import STACK_TAG

LONGEST_SECRET_LIFETIME_DAYS = 730
"""The portal's own maximum of 24 months; a tenant's policy may allow less."""

LONGEST_REDIRECT_URI = 256

LONGEST_TAG = 256

MOST_OWNERS = 100
"""How many owners an application or a service principal may have. Source: "Microsoft Entra service limits"."""

MOST_RESOURCES = 50
"""Of how many APIs an application may declare permissions."""

PLAIN_HTTP_HOSTS = ("localhost", "127.0.0.1")
"""The hosts for which Entra ID accepts plain http; IPv6's loopback address is not among them."""

FORBIDDEN_CHARACTERS = "!$'(),;"
"""What a redirect URI must not contain; see the page "Redirect URI restrictions and limitations"."""


class Audience(StrEnum):
    """Whose accounts may sign in (`signInAudience`)."""

    ONE_TENANT = "AzureADMyOrg"
    ANY_TENANT = "AzureADMultipleOrgs"
    ANY_TENANT_AND_PERSONAL = "AzureADandPersonalMicrosoftAccount"
    PERSONAL = "PersonalMicrosoftAccount"

    @property
    def personal(self) -> bool:
        """Whether personal Microsoft accounts may sign in; Entra ID is stricter with such applications."""
        return self in (Audience.ANY_TENANT_AND_PERSONAL, Audience.PERSONAL)

    @property
    def longest_name(self) -> int:
        """How many characters the application's display name may have."""
        return 90 if self.personal else 120

    @property
    def most_permissions(self) -> int:
        """How many permissions of all resources together an application may declare."""
        return 200 if self.personal else 400

    @property
    def most_permissions_of_one(self) -> int:
        """How many of them may be of one resource, such as Microsoft Graph."""
        return 30 if self.personal else self.most_permissions

    @property
    def most_redirect_uris(self) -> int:
        """How many redirect URIs an application may have."""
        return 100 if self.personal else 256


def why_invalid_audience(audience: Audience) -> str | None:
    """Why no stack may have this audience, although Entra ID allows it.

    The tenant's token endpoint rejects such an application (AADSTS9002346), and the one for personal accounts rejects
    client credentials (AADSTS9002332), as public threads show; see Microsoft's page "Supported account types".
    """
    if audience is not Audience.PERSONAL:
        return None
    return (
        "Entra ID does not say whether a client secret of such an application works, so none could be given to "
        "NocoBase, whose sign-in link does not serve this audience anyway."
    )


def why_invalid_name(name: str, audience: Audience) -> str | None:
    """Why `name` is not a valid display name of an application for `audience`."""
    if not name.strip():
        return "The name is empty."
    if len(name) > audience.longest_name:
        return f"It has {len(name)} characters; {audience} allows at most {audience.longest_name}."
    return None


def why_invalid_redirect_uri(uri: str, audience: Audience) -> str | None:
    """Why `uri` is not a valid redirect URI (type Web) of an application for `audience`."""
    try:
        normalized_uri(uri)
    except AddressRejected as rejected:
        return str(rejected)
    parts = urlsplit(uri)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in PLAIN_HTTP_HOSTS)
    special = sorted(set(uri) & set(FORBIDDEN_CHARACTERS))
    broken_rules = {
        f"Only https is allowed; http only on {' and '.join(PLAIN_HTTP_HOSTS)}.": not secure,
        "After the host a path or at least a slash is required.": has_no_path(uri),
        f"It has {len(uri)} characters; {LONGEST_REDIRECT_URI} are allowed.": len(uri) > LONGEST_REDIRECT_URI,
        "A fragment (#…) is not allowed.": "#" in uri,
        f"These characters are not allowed: {' '.join(special)}": special,
        f"A wildcard (*) is not allowed with personal accounts ({audience}).": "*" in uri and audience.personal,
        f"A query string (?…) is not allowed with personal accounts ({audience}).": parts.query and audience.personal,
    }
    return next((reason for reason, broken in broken_rules.items() if broken), None)


def has_no_path(uri: str) -> bool:
    """Whether nothing follows the host, which the azuread provider rejects, of types Web and SPA (recorded, 6.10.0).

    Also what is no URL at all.
    """
    try:
        return not urlsplit(uri).path
    except ValueError:
        return True


SPA_SCHEMES = ("http", "https", "ms-appx-web", "brk-multihub")
"""The schemes that the azuread provider accepts in a redirect URI of type SPA."""


def why_unkeepable(uri: str, *, public: bool) -> str | None:
    """Why the azuread provider rejects `uri` as a redirect URI of type SPA or, if `public`, of a public client.

    It validates what a stack keeps, too. Source: its own rules (`IsRedirectUriFunc`, azuread 6.10.0), of which Entra ID
    takes more.
    """
    if public and uri.startswith("urn:") and uri.count(":") > 1:
        return None
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "It is no address."
    broken_rules = {
        "A host is required.": not parts.netloc,
        "After the host a path or at least a slash is required.": not public and has_no_path(uri),
        f"Only these schemes are allowed: {', '.join(SPA_SCHEMES)}.": not public and parts.scheme not in SPA_SCHEMES,
        f"It has {len(uri)} characters; {LONGEST_REDIRECT_URI} are allowed.": len(uri) > LONGEST_REDIRECT_URI,
    }
    return next((reason for reason, broken in broken_rules.items() if broken), None)


def why_too_many_redirect_uris(number: int, audience: Audience) -> str | None:
    """Why an application for `audience` cannot have that many redirect URIs."""
    most = audience.most_redirect_uris
    return f"{number} redirect URIs; {audience} allows {most}." if number > most else None


def matches_redirect_uri(asked: str, registered: str) -> bool:
    """Whether a redirect URI is the registered one, letter by letter, but for a wildcard (*) in the latter."""
    pattern = "[^/?#]*".join(map(re.escape, registered.split("*")))
    return re.fullmatch(pattern, asked) is not None


def accepts_redirect_uri(asked: str, registered: str) -> bool:
    """Whether Entra ID takes a redirect URI for the registered one; it does not compare the port of localhost."""
    try:
        one, other = urlsplit(asked), urlsplit(registered)
    except ValueError:
        return matches_redirect_uri(asked, registered)
    if one.hostname in PLAIN_HTTP_HOSTS and one.hostname == other.hostname:
        return (one.scheme, one.path, one.query) == (other.scheme, other.path, other.query)
    return matches_redirect_uri(asked, registered)


def why_too_many_permissions(permissions: Iterable[Permission], audience: Audience) -> str | None:
    """Why an application for `audience` cannot declare that many permissions, delegated and application ones."""
    of_each = Counter(permission.resource for permission in set(permissions))
    most, of_one = audience.most_permissions, audience.most_permissions_of_one
    if len(of_each) > MOST_RESOURCES:
        return f"Permissions of {len(of_each)} APIs; Entra ID allows {MOST_RESOURCES}."
    if of_each.total() > most:
        return f"{of_each.total()} permissions, those of scopes among them; {audience} allows {most}."
    resource, number = max(of_each.items(), key=lambda item: item[1], default=("", 0))
    if number > of_one:
        return f"{number} permissions of the API {resource}, those of scopes among them; {audience} allows {of_one}."
    return None


def why_too_many_owners(number: int) -> str | None:
    """Why an application, or its service principal, cannot have that many owners."""
    too_many = f"{number} owners, the caller included; Entra ID allows {MOST_OWNERS}."
    return too_many if number > MOST_OWNERS else None


def why_invalid_tag(tag: str) -> str | None:
    """Why `tag` is not a valid tag of an application."""
    if not tag or len(tag) > LONGEST_TAG or any(letter.isspace() for letter in tag):
        return f"A tag has 1 to {LONGEST_TAG} characters, none of them white space."
    if tag.startswith(STACK_TAG):
        return f"Tags that begin with {STACK_TAG} are reserved: stacks set them on their applications."
    return None


def why_invalid_secret_lifetime(days: int) -> str | None:
    """Why a client secret cannot have a lifetime of `days` days."""
    if not 1 <= days <= LONGEST_SECRET_LIFETIME_DAYS:
        return f"A client secret may live 1 to {LONGEST_SECRET_LIFETIME_DAYS} days."
    return None
