"""Where an installation's email manager keeps the two credentials: autodetected from what its REST API shows. Pure.

The email manager's field names are not public and differ by version. So the row, the client ID and the client secret
are autodetected by their names and places, or named by the settings `nocobaseMapping`. A layout that can be read in two
ways is rejected, with the candidates and the settings that decide.

The rules follow from two properties of NocoBase (measured on 2.2.15):

- A hidden field is in no row, but can be filtered by. A filter by a field that does not exist is answered with 400,
  even if there is no row at all. So `Ask` names the fields whose existence has to be checked first.
- A JSON field is replaced as a whole. So one that seems to hide something is rejected: a write would lose it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from provisioning import errors
from provisioning.foreign import MOST_LISTED, listed, quoted
from provisioning.nocobase.row import Path, is_mask, is_reproducible, opened, parse_path, places, plain, value_at

MICROSOFT = ("microsoft", "outlook", "office365")
OTHERS = ("google", "gmail", "yahoo")
"""Names of mail providers: values of a row, or in the names of its fields."""

PROTOCOLS = ("imap", "smtp", "pop3")
"""What a row may be about besides a provider."""

PAIRS = (("clientId", "clientSecret"), ("client_id", "client_secret"))
"""The fields whose existence is checked if no row shows a client ID; the likeliest pair first."""

COLLECTION = "mailSettings"
VERIFY_ACTION = "mail:oauth2url?type=microsoft"


@dataclass(frozen=True)
class NocoBaseMapping:
    """The settings `nocobaseMapping` of one installation; None or empty means autodetected.

    collection: of the email settings. row_filter: field → value of Microsoft's row. client_id_field,
    client_secret_field: `clientId`, or `options.clientId` for a value within JSON. verify_action: the action that
    answers the sign-in link; `none` if there is no such action.
    """

    collection: str = COLLECTION
    row_filter: Mapping[str, object] = field(default_factory=dict)
    client_id_field: str | None = None
    client_secret_field: str | None = None
    verify_action: str = VERIFY_ACTION

    @property
    def of_microsoft(self) -> Mapping[str, object]:
        """Field → value that identifies Microsoft's row; a new row gets them."""
        return self.row_filter or {"type": "microsoft"}

    def recorded(self) -> dict[str, Any]:
        """The mapping as properties of a resource.

        row_filter becomes text: the engine's numbers are floating point, and a row's id may have more digits.
        """
        return {**asdict(self), "row_filter": json.dumps(self.row_filter)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any] | None) -> NocoBaseMapping:
        """The mapping that `recorded` returned; without a record, everything is autodetected."""
        return cls(**{**record, "row_filter": json.loads(record["row_filter"])}) if record else cls()


@dataclass(frozen=True)
class Seen:
    """What REST shows. rows: of the settings collection. exists: whether a field exists, for each that was checked."""

    url: str
    rows: Sequence[Mapping[str, Any]] = field(repr=False)
    exists: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """The layout depends on whether these fields exist: check it, then autodetect again."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Where the credentials are.

    row: Microsoft's, as shown; None if there is none yet. hidden: the secret is not shown as it is stored. transformed:
    it was seen to read back as something else than was written, such as encrypted. why: how it was detected.
    """

    row: Mapping[str, Any] | None = field(repr=False)
    client_id: Path
    client_secret: Path
    hidden: bool
    why: str
    transformed: bool = False

    def as_transformed(self) -> Layout:
        """The same layout of a NocoBase that shows something else than the secret which was written."""
        why = self.why if self.hidden else f"{self.why}; the secret reads back as something else than was written"
        return replace(self, hidden=True, transformed=True, why=why)


@dataclass(frozen=True)
class _Pair:
    """What looks like a client ID, and the client secret beside it; None if none is shown."""

    client_id: Path
    client_secret: Path | None = None


def autodetect(seen: Seen, mapping: NocoBaseMapping, certain: bool = False) -> Layout | Ask:
    """Where the credentials are, or which fields have to be checked first.

    certain: also check that a hidden secret's field exists, instead of deriving its name from the client ID's.
    Raises UnknownLayout if the layout is ambiguous or unknown.
    """
    return _Search(seen, mapping, certain).layout()


@dataclass(frozen=True)
class _Search:
    seen: Seen
    mapping: NocoBaseMapping
    certain: bool

    def layout(self) -> Layout | Ask:
        row = self._row()
        if row is None:
            unchecked = self._unchecked_identifying_fields()
            if unchecked:
                return Ask(unchecked)
        if self.mapping.client_id_field:
            return self._with_secret(row, self._named(row), "named by nocobaseMapping")
        if row is not None and (shown := _pairs(row)):
            return self._with_secret(row, self._only(shown), "shown by the row")
        others = {pair for other in self.seen.rows if other is not row for pair in _pairs(other)}
        if others:
            return self._with_secret(row, self._only(others), "as in the rows of other providers")
        if self.seen.rows:
            raise self._unknown(f"no field looks like a client ID among {_fields(row or self.seen.rows[0])}")
        asked = self._asked()
        return asked if isinstance(asked, Ask) else self._with_secret(None, asked, "there is no row yet")

    def _row(self) -> Mapping[str, Any] | None:
        """Microsoft's row; None if there is none and one may be created. Raises UnknownLayout."""
        found = self._rows_of_microsoft()
        if len(found) > 1:
            raise self._unknown(f"{len(found)} rows are Microsoft's: {_described(found)}")
        if found:
            return found[0]
        self._reject_unrecognised_rows()
        return None

    def _rows_of_microsoft(self) -> list[Mapping[str, Any]]:
        """The rows that the mapping identifies, else those that name Microsoft, else one row for all providers."""
        rows, wanted = self.seen.rows, self.mapping.of_microsoft
        identified = [row for row in rows if all(str(row.get(key)) == str(value) for key, value in wanted.items())]
        if identified or self.mapping.row_filter:
            return identified
        named = [row for row in rows if _names(row, MICROSOFT)]
        if named:
            return named
        for_all_providers = len(rows) == 1 and "type" not in rows[0] and not _names(rows[0], (*OTHERS, *PROTOCOLS))
        return [rows[0]] if for_all_providers else []

    def _reject_unrecognised_rows(self) -> None:
        """Raise UnknownLayout if one of the rows may be Microsoft's although none was recognised as it.

        A second row for Microsoft must not be created.
        """
        rows = self.seen.rows
        if self.mapping.row_filter:
            microsoft = [row for row in rows if _names(row, MICROSOFT)]
            if microsoft:
                raise self._unknown(
                    f"rowFilter matches none of the rows, although Microsoft's is there: {_described(microsoft)}"
                )
        elif any(not _names(row, (*OTHERS, *PROTOCOLS)) for row in rows):
            raise self._unknown(f"no row names Microsoft: {_described(rows)}")

    def _unchecked_identifying_fields(self) -> tuple[str, ...]:
        """The fields that would identify a new row and are not checked yet. Raises UnknownLayout if one is missing.

        NocoBase drops values that it has no field for: the new row could never be recognised again.
        """
        identifying = tuple(self.mapping.of_microsoft)
        if self.seen.rows:
            shown = {name for row in self.seen.rows for name in row}
            missing = [name for name in identifying if name not in shown]
            unchecked: tuple[str, ...] = ()
        else:
            missing = [name for name in identifying if self.seen.exists.get(name) is False]
            unchecked = tuple(name for name in identifying if name not in self.seen.exists)
        if missing:
            raise self._unknown(f"there is no field {', '.join(missing)} to create Microsoft's row with")
        return unchecked

    def _named(self, row: Mapping[str, Any] | None) -> _Pair:
        client_id = parse_path(self.mapping.client_id_field or "")
        beside = _secret_beside(client_id, list(places(row)), alone=False) if row is not None else None
        return _Pair(client_id, beside)

    def _only(self, pairs: Iterable[_Pair]) -> _Pair:
        """The pair that mentions Microsoft, else any; of several, the one with a secret. Raises UnknownLayout."""
        left = list(pairs)
        left = [pair for pair in left if _mentions(pair.client_id, MICROSOFT)] or left
        left = [pair for pair in left if pair.client_secret is not None] or left
        if len(left) > 1:
            names = sorted(".".join(pair.client_id) for pair in left)
            raise self._unknown(f"{' and '.join(map(quoted, names[:MOST_LISTED]))} look like client ids")
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
        """The layout, once it is known whether the secret is shown and that a write loses nothing else."""
        client_id, named = pair.client_id, self.mapping.client_secret_field
        secret = parse_path(named) if named else pair.client_secret
        for path in (client_id, secret or client_id):
            if len(path) > 1:
                self._reject_replacing(row, path)
                self._reject_losses(row, path[0], secret)
        secret = secret or (*client_id[:-1], _partner(client_id[-1]))
        if row is not None and client_id[0] not in row:
            raise self._unknown(f"{quoted(client_id[0])} is not among the fields that are shown, {_fields(row)}")
        rows = [row] if row is not None else self.seen.rows
        masked = is_mask(value_at(row, secret))
        hidden = masked or not any(secret[0] in other for other in rows)
        if hidden and len(secret) == 1:
            name = secret[0]
            if self.certain and name not in self.seen.exists:
                return Ask((name,))
            if self.seen.exists.get(name) is False:
                beside = quoted(".".join(client_id))
                raise self._unknown(f"beside {beside} there is no field {quoted(name)}, neither shown nor hidden")
        return Layout(
            row,
            client_id,
            secret,
            hidden,
            f"{why}; the secret is {'masked' if masked else 'hidden'}" if hidden else why,
        )

    def _reject_replacing(self, row: Mapping[str, Any] | None, path: Path) -> None:
        """Raise UnknownLayout if the value at `path` would have to go into something that is not a JSON object."""
        for length in range(1, len(path)):
            holder = opened(value_at(row, path[:length]))
            if holder not in (None, "") and not isinstance(holder, Mapping):
                raise self._unknown(
                    f"{quoted('.'.join(path[:length]))} is not a JSON object, and a write would replace it"
                )

    def _reject_losses(self, row: Mapping[str, Any] | None, top: str, secret: Path | None) -> None:
        """Raise UnknownLayout if a write to the JSON field `top` might lose some of its content."""
        content = (row or {}).get(top)
        paths = [(top, *path) for path in places(opened(content))]
        masked = [".".join(path) for path in paths if path != secret and is_mask(value_at(row, path))]
        if masked:
            raise self._unknown(f"{listed(masked)} shows a mask, and a write would replace what it hides")
        if secret is None and opened(content):
            raise self._unknown(f"{quoted(top)} shows no client secret; a write would lose what NocoBase hides in it")
        if not is_reproducible(content):
            raise self._unknown(f"{quoted(top)} is JSON in a form that could not be written back unchanged")

    def _unknown(self, why: str) -> errors.UnknownLayout:
        return errors.UnknownLayout(
            f"In NocoBase at {self.seen.url} it is unclear which fields of {self.mapping.collection} hold the "
            "credentials",
            why,
            "Name them: pulumi config set --path nocobaseMapping.<key> <value>, with the keys collection, "
            "rowFilter.<field>, clientIdField and clientSecretField (options.clientId within JSON), verifyAction.",
        )


def _pairs(row: Mapping[str, Any]) -> list[_Pair]:
    """Every field of a row that is named like a client ID; if none is, those named like an application's id.

    Fields that mention another provider do not count.
    """
    there = [path for path in places(row) if not _mentions(path, OTHERS)]
    for endings in (("clientid",), ("appid", "applicationid")):
        if found := [path for path in there if plain(path[-1]).endswith(endings)]:
            return [_Pair(path, _secret_beside(path, there, alone=len(found) == 1)) for path in found]
    return []


def _secret_beside(client_id: Path, there: Sequence[Path], alone: bool) -> Path | None:
    """The secret whose name matches the client ID's; if that is `alone`, the only field whose name ends in secret."""
    beside = [path for path in there if path[:-1] == client_id[:-1]]
    found = [path for path in beside if plain(path[-1]) == plain(_partner(client_id[-1]))]
    if not found and alone:
        found = [path for path in beside if plain(path[-1]).endswith("secret")]
    return found[0] if len(found) == 1 else None


def _partner(name: str) -> str:
    """The name of the secret beside `name`: clientId → clientSecret, client_id → client_secret."""
    endings = {"Id": "Secret", "ID": "Secret", "id": "secret"}
    return name[:-2] + endings[name[-2:]] if name[-2:] in endings else f"{name}Secret"


def _names(row: Mapping[str, Any], providers: Sequence[str]) -> bool:
    return any(isinstance(value, str) and plain(value) in providers for value in row.values())


def _mentions(path: Path, providers: Sequence[str]) -> bool:
    return any(provider in plain(key) for key in path for provider in providers)


def _fields(row: Mapping[str, Any]) -> str:
    return listed(sorted(".".join(path) for path in places(row)))


def _described(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows by what names them, for an error."""
    found = list(rows)
    more = f"; {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return "; ".join(map(_description, found[:MOST_LISTED])) + more


def _description(row: Mapping[str, Any]) -> str:
    keys = [key for key in ("id", "type", "name", "provider") if row.get(key)]
    return " ".join(f"{key} {quoted(row[key])}" for key in keys) or "one without a name"
