"""The accounts of a config: `ids` and the file, checked and merged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harvester.config.accounts_file import AccountsFile, Entry
from harvester.config.findings import Findings
from harvester.config.show import LONGEST, Expanded, Unresolved, shown_name
from harvester.config.texts import FilePath
from harvester.config.values import UnfitError, parse_account_id
from harvester.model import Account, AppName, TokenName


@dataclass(frozen=True, slots=True)
class AccountsReader:
    """Reads `[accounts]` as the TOML file holds it, right or wrong, so that its faults show beside all others.

    Attributes:
        folder: What a relative path is relative to.
        apps: The app of each token; empty if there are no tokens, which is reported elsewhere.
        findings: Takes problems and notes.
        others: Whether the config has accounts besides: then there need not be any here.
    """

    folder: Path
    apps: Mapping[str, str]
    findings: Findings
    others: bool = False

    def read(self, table: object) -> tuple[tuple[Account, ...], tuple[Account, ...]]:
        """The enabled accounts, each once, in the order they were written, and the disabled ones."""
        if not isinstance(table, dict):
            return (), ()
        if not table.get("ids") and "file" not in table and not self.others:
            self.findings.at_key(("accounts",), "found no account; expected ids, file, or both")
        entries = self._merged([*self._from_ids(table.get("ids")), *self._from_file(table.get("file"))])
        accounts = tuple(map(self._account, (entry for entry in entries if entry.enabled)))
        disabled = tuple(map(self._account, (entry for entry in entries if not entry.enabled)))
        if disabled and not accounts and not self.others:
            message = f"all {len(entries)} accounts are disabled; expected at least one that is not"
            self.findings.at_key(("accounts",), message)
        return accounts, disabled

    def _account(self, entry: Entry) -> Account:
        app = AppName(self.apps.get(entry.token, ""))
        return Account(id=entry.id, token=TokenName(entry.token), app=app, name=entry.name)

    def _from_ids(self, ids: object) -> Iterator[Entry]:
        if not isinstance(ids, list) or not ids:
            return
        if len(self.apps) > 1:
            message = "several tokens, and nothing says which one reads these ids; use a file with a token column"
            self.findings.at_key(("accounts", "ids"), message)
            return
        token = next(iter(self.apps), "")
        for index, raw in enumerate(ids):
            if isinstance(raw, Unresolved):
                continue
            try:
                account = parse_account_id(raw)
            except ValueError as error:
                self.findings.at_key(("accounts", "ids", index), str(error))
            else:
                yield Entry(id=account, token=token, where=f"{self.findings.file}: accounts.ids[{index}]")

    def _from_file(self, file: object) -> Iterator[Entry]:
        try:
            path = self.folder / FilePath().read(file)
        except UnfitError:
            return
        label = file.template if isinstance(file, Expanded) else path.name
        if len(label) > LONGEST and path.suffix not in {".csv", ".txt"}:
            label = self.findings.key(("accounts", "file"))  # a token in the wrong place rather than a file's name
        yield from AccountsFile(label, tuple(self.apps), self.findings).read(path)

    def _merged(self, entries: Iterable[Entry]) -> list[Entry]:
        """The first entry of each account; a later one that contradicts it is a problem, another one a note."""
        first: dict[int, Entry] = {}
        for entry in entries:
            known = first.setdefault(entry.id, entry)
            if known is entry:
                continue
            if known.token != entry.token:
                tokens = f"token {shown_name(known.token)} there, {shown_name(entry.token)} here"
                self.findings.at(
                    entry.where,
                    f"account {entry.id} is already at {known.where}, with {tokens}; one token reads it: keep its line",
                )
            elif known.enabled != entry.enabled:
                message = f"account {entry.id} is already at {known.where}, enabled in one place and not in the other"
                message += "; keep one of them"
                self.findings.at(entry.where, message)
            else:
                self.findings.notes.append(
                    f"{entry.where}: account {entry.id} is already at {known.where}; counted once"
                )
        return list(first.values())
