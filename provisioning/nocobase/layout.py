"""Where an installation's email manager keeps the two credentials: a pure function over what its REST API shows.

The email manager's field names are not public and differ by version. So row, client id and client secret are found by
what they are called and where they stand, or the settings `nocobaseMapping` name them. What could be read in two ways
is refused, with the candidates and the settings that decide.

Two properties of NocoBase (measured on 2.2.15) make the rules:

- A hidden field is in no row, but can be filtered by; a filter by a field that does not exist is refused with 400, also
  where there is no row at all. So `Ask` names the fields whose existence has to be asked before more can be told.
- A JSON field is replaced as a whole. So one that seems to hide something is refused: a write would lose it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from provisioning import errors
from provisioning.nocobase.row import Path, is_mask, is_reproducible, opened, parse_path, places, plain, value_at

MICROSOFT = ("microsoft", "outlook", "office365")
OTHERS = ("google", "gmail", "yahoo")
"""Names of mail providers: values of a row, or in the names of its fields."""

PROTOCOLS = ("imap", "smtp", "pop3")
"""What a row may be for that is no provider's."""

PAIRS = (("clientId", "clientSecret"), ("client_id", "client_secret"))
"""What is asked for where no row shows a name; the first is the likeliest."""

COLLECTION = "mailSettings"
VERIFY_ACTION = "mail:oauth2url?type=microsoft"


@dataclass(frozen=True)
class NocoBaseMapping:
    """What the settings `nocobaseMapping` say of one installation; None and empty where it is to be found.

    collection: of the email settings. row_filter: what Microsoft's row has, field → value. client_id_field,
    client_secret_field: `clientId`, or `options.clientId` for one within JSON. verify_action: what answers the sign-in
    link; `none` where nothing does.
    """

    collection: str = COLLECTION
    row_filter: Mapping[str, object] = field(default_factory=dict)
    client_id_field: str | None = None
    client_secret_field: str | None = None
    verify_action: str = VERIFY_ACTION

    @property
    def of_microsoft(self) -> Mapping[str, object]:
        """What Microsoft's row has; a new one is given it."""
        return self.row_filter or {"type": "microsoft"}

    def recorded(self) -> dict[str, Any]:
        """As properties of a resource.

        row_filter is text there: the engine's numbers are floating point, and a row's id may have more digits.
        """
        return {**asdict(self), "row_filter": json.dumps(self.row_filter)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any] | None) -> NocoBaseMapping:
        """What `recorded` made, or nothing in particular."""
        return cls(**{**record, "row_filter": json.loads(record["row_filter"])}) if record else cls()


@dataclass(frozen=True)
class Seen:
    """What REST shows. rows: of the settings collection. exists: whether there is a field, for each that was asked."""

    url: str
    rows: Sequence[Mapping[str, Any]] = field(repr=False)
    exists: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """Whether these fields exist has to be asked before more can be told."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Where the credentials are.

    row: Microsoft's, as shown; None if there is none yet. hidden: the secret is not shown. why: how it was found.
    """

    row: Mapping[str, Any] | None = field(repr=False)
    client_id: Path
    client_secret: Path
    hidden: bool
    why: str


@dataclass(frozen=True)
class _Pair:
    """What looks like a client id, and the secret beside it; None where none is shown."""

    client_id: Path
    client_secret: Path | None = None


def discover(seen: Seen, mapping: NocoBaseMapping, certain: bool = False) -> Layout | Ask:
    """Where the credentials are, or what has to be asked first.

    certain: have a hidden secret's field asked for, too, instead of taking its name from the client id's.
    Raises UnknownLayout if it cannot be told.
    """
    return _Search(seen, mapping, certain).layout()


@dataclass(frozen=True)
class _Search:
    seen: Seen
    mapping: NocoBaseMapping
    certain: bool

    def layout(self) -> Layout | Ask:
        row = self._row()
        if row is None and (unknown := self._unidentified()):
            return Ask(unknown)
        if self.mapping.client_id_field:
            return self._with_secret(row, self._named(row), "named by nocobaseMapping")
        if row is not None and (shown := _pairs(row)):
            return self._with_secret(row, self._only(shown), "shown by the row")
        others = {pair for other in self.seen.rows if other is not row for pair in _pairs(other)}
        if others:
            return self._with_secret(row, self._only(others), "as in the rows of other providers")
        if self.seen.rows:
            raise self._unknown(f"no field looks like a client id among {_fields(row or self.seen.rows[0])}")
        asked = self._asked()
        return asked if isinstance(asked, Ask) else self._with_secret(None, asked, "asked for, as there is no row yet")

    def _row(self) -> Mapping[str, Any] | None:
        """Microsoft's row; None if there is none, and one may be made."""
        wanted, rows = self.mapping.of_microsoft, self.seen.rows
        found = [row for row in rows if all(str(row.get(key)) == str(value) for key, value in wanted.items())]
        if not found and not self.mapping.row_filter:
            found = [row for row in rows if _names(row, MICROSOFT)] or (
                # One row for all providers.
                list(rows)
                if len(rows) == 1 and "type" not in rows[0] and not _names(rows[0], (*OTHERS, *PROTOCOLS))
                else []
            )
        if len(found) > 1:
            raise self._unknown(f"{len(found)} rows are Microsoft's: {_described(found)}")
        if not found and not self.mapping.row_filter and any(not _names(row, (*OTHERS, *PROTOCOLS)) for row in rows):
            raise self._unknown(f"no row names Microsoft: {_described(rows)}")
        if not found and (microsoft := [row for row in rows if _names(row, MICROSOFT)]):
            raise self._unknown(
                f"rowFilter finds none of the rows, although Microsoft's is there: {_described(microsoft)}"
            )
        return found[0] if found else None

    def _unidentified(self) -> tuple[str, ...]:
        """The fields that would tell a new row from others, as far as it is not known whether they exist.

        NocoBase drops what it has no field for: the row could never be found again. Raises UnknownLayout.
        """
        rows, exists = self.seen.rows, self.seen.exists
        fields = tuple(self.mapping.of_microsoft)
        missing = [
            name for name in fields if (not any(name in row for row in rows) if rows else exists.get(name) is False)
        ]
        if missing:
            raise self._unknown(f"there is no field {', '.join(missing)} to make Microsoft's row with")
        return () if rows else tuple(name for name in fields if name not in exists)

    def _named(self, row: Mapping[str, Any] | None) -> _Pair:
        client_id = parse_path(self.mapping.client_id_field or "")
        beside = _secret_beside(client_id, list(places(row)), alone=False) if row is not None else None
        return _Pair(client_id, beside)

    def _only(self, pairs: Iterable[_Pair]) -> _Pair:
        """The one that is meant: Microsoft's, else nobody's in particular; of several, one with a secret beside it."""
        left = list(pairs)
        left = [pair for pair in left if _mentions(pair.client_id, MICROSOFT)] or left
        left = [pair for pair in left if pair.client_secret is not None] or left
        if len(left) > 1:
            raise self._unknown(
                f"{' and '.join(sorted('.'.join(pair.client_id) for pair in left))} look like client ids"
            )
        return left[0]

    def _asked(self) -> _Pair | Ask:
        names = tuple(name for pair in PAIRS for name in pair)
        if not set(names) <= set(self.seen.exists):
            return Ask(names)
        there = [_Pair((name,), (secret,)) for name, secret in PAIRS if self.seen.exists[name]]
        if not there:
            raise self._unknown(f"there is no row, and no field {' or '.join(name for name, _ in PAIRS)}")
        return self._only(there)

    def _with_secret(self, row: Mapping[str, Any] | None, pair: _Pair, why: str) -> Layout | Ask:
        """The layout, when it is told whether the secret is shown, and that a write takes nothing else with it."""
        client_id, named = pair.client_id, self.mapping.client_secret_field
        secret = parse_path(named) if named else pair.client_secret
        for path in (client_id, secret or client_id):
            if len(path) > 1:
                self._reject_replacing(row, path)
                self._reject_losses(row, path[0], secret)
        secret = secret or (*client_id[:-1], _partner(client_id[-1]))
        if row is not None and client_id[0] not in row:
            raise self._unknown(f"{client_id[0]} is not among the fields that are shown, {_fields(row)}")
        rows = [row] if row is not None else self.seen.rows
        hidden = is_mask(value_at(row, secret)) or not any(secret[0] in other for other in rows)
        if hidden and len(secret) == 1:
            name = secret[0]
            if self.certain and name not in self.seen.exists:
                return Ask((name,))
            if self.seen.exists.get(name) is False:
                raise self._unknown(f"beside {'.'.join(client_id)} there is no field {name}, neither shown nor hidden")
        return Layout(row, client_id, secret, hidden, f"{why}; the secret is hidden" if hidden else why)

    def _reject_replacing(self, row: Mapping[str, Any] | None, path: Path) -> None:
        """Raise UnknownLayout if what is to hold the value at `path` is something else than a JSON object."""
        for length in range(1, len(path)):
            holder = opened(value_at(row, path[:length]))
            if holder not in (None, "") and not isinstance(holder, Mapping):
                raise self._unknown(f"{'.'.join(path[:length])} is no JSON object, and a write would replace it")

    def _reject_losses(self, row: Mapping[str, Any] | None, top: str, secret: Path | None) -> None:
        """Raise UnknownLayout if writing the JSON field `top` might lose what is in it."""
        content = (row or {}).get(top)
        paths = [(top, *path) for path in places(opened(content))]
        masked = [".".join(path) for path in paths if path != secret and is_mask(value_at(row, path))]
        if masked:
            raise self._unknown(f"{', '.join(masked)} shows a mask, which would take the place of what it hides")
        if secret is None and opened(content):
            raise self._unknown(f"{top} shows no client secret; what NocoBase hides in it would be lost by a write")
        if not is_reproducible(content):
            raise self._unknown(f"{top} is JSON in a form that could not be written back unchanged")

    def _unknown(self, why: str) -> errors.UnknownLayout:
        return errors.UnknownLayout(
            f"In NocoBase at {self.seen.url} it cannot be told where {self.mapping.collection} keeps the credentials",
            why,
            "Say where: pulumi config set --path nocobaseMapping.<key> <value>, with the keys collection, "
            "rowFilter.<field>, clientIdField and clientSecretField (options.clientId within JSON), verifyAction.",
        )


def _pairs(row: Mapping[str, Any]) -> list[_Pair]:
    """Everything in a row that is called like a client id; only where nothing is, like an application's id.

    What another provider's name is in is never meant.
    """
    there = [path for path in places(row) if not _mentions(path, OTHERS)]
    for endings in (("clientid",), ("appid", "applicationid")):
        if found := [path for path in there if plain(path[-1]).endswith(endings)]:
            return [_Pair(path, _secret_beside(path, there, alone=len(found) == 1)) for path in found]
    return []


def _secret_beside(client_id: Path, there: Sequence[Path], alone: bool) -> Path | None:
    """The secret that is called like the client id; if that is `alone`, the only one that is called a secret."""
    beside = [path for path in there if path[:-1] == client_id[:-1]]
    found = [path for path in beside if plain(path[-1]) == plain(_partner(client_id[-1]))]
    if not found and alone:
        found = [path for path in beside if plain(path[-1]).endswith("secret")]
    return found[0] if len(found) == 1 else None


def _partner(name: str) -> str:
    """How the secret beside `name` is called: clientId → clientSecret, client_id → client_secret."""
    endings = {"Id": "Secret", "ID": "Secret", "id": "secret"}
    return name[:-2] + endings[name[-2:]] if name[-2:] in endings else f"{name}Secret"


def _names(row: Mapping[str, Any], providers: Sequence[str]) -> bool:
    return any(isinstance(value, str) and plain(value) in providers for value in row.values())


def _mentions(path: Path, providers: Sequence[str]) -> bool:
    return any(provider in plain(key) for key in path for provider in providers)


def _fields(row: Mapping[str, Any]) -> str:
    return ", ".join(sorted(".".join(path) for path in places(row)))


def _described(rows: Iterable[Mapping[str, Any]]) -> str:
    keys = ("id", "type", "name", "provider")
    return "; ".join(
        " ".join(f"{key} {row[key]}" for key in keys if row.get(key)) or "one without a name" for row in rows
    )
