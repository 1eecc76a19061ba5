"""The accounts file: CSV as people and spreadsheets write it, every bad line reported with its number."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harvester.config.findings import Findings
from harvester.config.show import did_you_mean, shown
from harvester.config.values import parse_account_id
from harvester.model import AccountId

COLUMNS = ("account_id", "token", "name", "enabled")
HEADER = "account_id[,token][,name][,enabled]"

_ENABLED = {"": True, "true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LINE_END = re.compile(r"\r\n|\n|\r")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS_UTF8 = 'save it as UTF-8 (in a spreadsheet: "CSV UTF-8")'


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One mention of an account.

    Attributes:
        where: File and line, or file and key.
        token: The name of the token that reads it.
        enabled: Whether it is to be harvested.
    """

    id: AccountId
    token: str
    name: str | None = None
    enabled: bool = True
    where: str


@dataclass(frozen=True, slots=True)
class AccountsFile:
    """Reads one file.

    Attributes:
        label: What messages call the file.
        tokens: The names of the config's tokens; empty if there are none, which is reported elsewhere.
        findings: Takes the problems.
    """

    label: str
    tokens: tuple[str, ...]
    findings: Findings

    def read(self, path: Path) -> Iterator[Entry]:
        """The good entries in the file's order; everything else goes to the findings."""
        text = self._text(path)
        if text is None:
            return
        rows = self._rows(text)
        number, header = next(rows, (0, []))
        if not header:
            self.findings.at(self.label, f"is empty; expected the header {HEADER} and an account on each line")
            return
        columns = [cell.casefold() for cell in header]
        if not self._header_is_usable(number, columns):
            return
        number = 0
        for number, cells in rows:
            if len(cells) != len(columns):
                self._fault(number, f"found {len(cells)} cells; expected {len(columns)}, as many as the header has")
            else:
                yield from self._entry(number, dict(zip(columns, cells, strict=True)))
        if not number:
            self.findings.at(self.label, "has no account below its header; write one on each line")

    def _fault(self, number: int, message: str) -> None:
        self.findings.at(f"{self.label}: line {number}", message)

    def _text(self, path: Path) -> str | None:
        try:
            content = path.read_bytes()
        except OSError as error:
            self.findings.at(
                self.label, f"cannot be read: {error.strerror}; put the file there, or mend [accounts] file"
            )
            return None
        if content.startswith(_UTF16):
            self.findings.at(self.label, f"is UTF-16; {_SAVE_AS_UTF8}")
            return None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._fault(content.count(b"\n", 0, error.start) + 1, f"is not UTF-8, perhaps GBK; {_SAVE_AS_UTF8}")
            return None
        if "\0" in text:
            self._fault(text.count("\n", 0, text.index("\0")) + 1, f"holds a zero byte; {_SAVE_AS_UTF8}")
            return None
        return text

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Line numbers and cells, spaces and surplus empty cells removed; no blank lines, no comments.

        Lines are parsed one by one: a quote that is never closed spoils its own line and no other.
        """
        width = 0
        for number, line in enumerate(_LINE_END.split(text), start=1):
            if not line.strip(" \t,;") or line.lstrip().startswith("#"):
                continue
            try:
                cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True, strict=True))]
            except csv.Error:
                self._fault(
                    number, 'the quotes do not match; put " before and after a cell, and "" for one inside of it'
                )
                continue
            while len(cells) > max(width, 1) and not cells[-1]:
                cells.pop()
            width = width or len(cells)
            yield number, cells

    def _header_is_usable(self, number: int, columns: list[str]) -> bool:
        faults = [
            f"unknown column {shown(column)}; {did_you_mean(column, COLUMNS) or f'expected {HEADER}'}"
            for column in columns
            if column not in COLUMNS
        ]
        faults += [
            f'column "{column}" appears twice; take one of them out' for column in COLUMNS if columns.count(column) > 1
        ]
        if "account_id" not in columns:
            faults = [_no_header(columns, faults)]
        elif "token" not in columns and len(self.tokens) > 1:
            faults.append("no column token; with several tokens each line names the one that reads its account")
        for fault in faults:
            self._fault(number, fault)
        return "account_id" in columns and not any("twice" in fault for fault in faults)

    def _entry(self, number: int, row: dict[str, str]) -> Iterator[Entry]:
        """The row's entry, if nothing is wrong with it."""
        faults = []
        account = None
        try:
            account = parse_account_id(row["account_id"])
        except ValueError as error:
            faults.append(f"account_id: {error}")
        token = row.get("token") or (self.tokens[0] if len(self.tokens) == 1 else "")
        if self.tokens and token not in self.tokens and not (token == "" and "token" not in row):
            faults.append(f"token: {self._token_fault(token)}")
        enabled = _ENABLED.get(row.get("enabled", "").casefold())
        if enabled is None:
            faults.append(f"enabled: found {shown(row['enabled'])}; expected true, false, yes, no, 1 or 0")
        for fault in faults:
            self._fault(number, fault)
        if account is not None and enabled is not None and not faults:
            where = f"{self.label}: line {number}"
            name = _visible(row.get("name", "")) or None
            yield Entry(id=account, token=token, name=name, enabled=enabled, where=where)

    def _token_fault(self, token: str) -> str:
        if not token:
            return "found nothing; with several tokens each line names the one that reads its account"
        return f"unknown token {shown(token)}; " + (
            did_you_mean(token, self.tokens) or "expected the name of a [tokens.NAME]"
        )


def _visible(name: str) -> str:
    """A name that cannot steer a terminal: nothing that cannot be seen, on one line."""
    if name.isprintable():
        return name.strip()
    return "".join(one if one.isprintable() else " " if one.isspace() else "" for one in name).strip()


def _no_header(columns: list[str], faults: list[str]) -> str:
    """Why no column account_id was found."""
    first = columns[0]
    if any(sign in first for sign in ";\t|"):
        return f"the cells are not separated by commas; expected the header {HEADER}"
    if first.isdecimal():
        return f"the header is missing; expected {HEADER}"
    return "; ".join(["no column account_id", *faults])
