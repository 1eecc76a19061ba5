"""From a TOML file to settings that can be used, or to everything that is wrong with it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harvester.config.accounts import AccountsReader
from harvester.config.aftermath import Aftermath, MetricsSection, NotifySection
from harvester.config.expand import Surroundings, expand
from harvester.config.findings import Findings
from harvester.config.settings import Document, OutputSection, Settings
from harvester.config.show import Expanded, did_you_mean, dotted, masked, shown, shown_name
from harvester.config.syntax import read_toml
from harvester.config.texts import FilePath
from harvester.config.translate import complaints
from harvester.config.values import UnfitError
from harvester.errors import ConfigError

Tree = dict[str, Any]
"""A TOML document as its file holds it: any key may be missing, unknown or of a wrong type."""

AFTERMATH = ("output", "state", "metrics", "notify")
SECRET_KEYS = ("client_secret", "access_token", "refresh_token", "url", "secret")
STATE_FOLDER = ".harvester"
TOKENS_FOLDER = "tokens"


def load(path: Path, env: Mapping[str, str] | None = None) -> Settings:
    """Reads a config and the files it names; writes nothing.

    Args:
        path: The TOML file; relative paths inside are relative to its folder.
        env: What `${NAME}` refers to; `None` is this process's environment.

    Returns:
        The settings, every reference resolved, every path absolute.

    Raises:
        ConfigError: With every problem found, and without any secret.
    """
    findings = Findings(path.name)
    folder = path.absolute().parent
    tree = _expanded(read_toml(path), Surroundings(os.environ if env is None else env, folder), findings)
    origins = dict(_origins((), tree))
    _fill_in(tree)
    document = _validated(tree, findings)
    _check_references(tree, findings)
    apps = {name: str(token.get("app", "")) for name, token in _tables(tree, "tokens").items()}
    reader = AccountsReader(folder, apps, findings, others=bool(tree.get("discover")))
    accounts, disabled = reader.read(tree.get("accounts", {}))
    if document is None or findings.problems:
        raise findings.error(_secrets(tree))
    return Settings(
        api=document.api,
        window=document.window,
        limits=document.limits,
        retry=document.retry,
        output=document.output.model_copy(update={"dir": folder / document.output.dir}),
        state=document.state.model_copy(
            update={"dir": folder / document.state.dir, "tokens_dir": folder / document.state.tokens_dir}
        ),
        apps=document.apps,
        tokens=document.tokens,
        accounts=accounts,
        disabled=disabled,
        discover=document.discover,
        metrics=_placed(document.metrics, folder),
        notify=document.notify,
        notes=tuple(masked(note, _secrets(tree)) for note in findings.notes),
        source=path.absolute(),
        origins=origins,
    )


def load_aftermath(path: Path, env: Mapping[str, str] | None = None) -> Aftermath:
    """What follows a run of a config, also where the rest of it cannot be used; writes nothing, and never fails.

    Args:
        path: The TOML file.
        env: As for `load`.

    Returns:
        The tables that can be used; none where the file cannot be read, or where they are wrong themselves.
    """
    findings = Findings(path.name)
    folder = path.absolute().parent
    try:
        written = {key: value for key, value in read_toml(path).items() if key in AFTERMATH}
        tree = _expanded(written, Surroundings(os.environ if env is None else env, folder), findings)
        webhooks = [NotifySection.model_validate(table) for table in _array(tree, "notify")]
        metrics = _usable(tree.get("metrics", {}))
        _fill_in(tree)
        output_dir = folder / FilePath().read(_table(tree, "output").get("dir", str(OutputSection().dir)))
        state_dir = folder / FilePath().read(tree["state"]["dir"])
    except (ConfigError, ValueError, TypeError, LookupError):  # it is told by `load`
        return Aftermath()
    return Aftermath(
        notify=tuple(webhooks),
        metrics=_placed(metrics, folder),
        output_dir=output_dir,
        state_dir=state_dir,
        config=path.name,
    )


def _usable(table: object) -> MetricsSection:
    """The table; as if it were empty when it is wrong, which keeps nobody from being told so."""
    try:
        return MetricsSection.model_validate(table)
    except ValidationError:
        return MetricsSection()


def _placed(metrics: MetricsSection, folder: Path) -> MetricsSection:
    return metrics.model_copy(update={"textfile": metrics.textfile and folder / metrics.textfile})


def _expanded(written: Tree, surroundings: Surroundings, findings: Findings) -> Tree:
    return {key: expand(value, (key,), surroundings, findings.at_key) for key, value in written.items()}


def _validated(tree: Tree, findings: Findings) -> Document | None:
    try:
        return Document.model_validate(tree)
    except ValidationError as error:
        for location, message in complaints(error):
            findings.at_key(location, message)
        return None


def _table(tree: Tree, key: str) -> Tree:
    """The table of that key; empty if there is none or it is no table, which is reported elsewhere."""
    table = tree.get(key)
    return table if isinstance(table, dict) else {}


def _tables(tree: Tree, key: str) -> dict[str, Tree]:
    """The tables `[key.NAME]` by name; whatever is no table is reported elsewhere."""
    return {name: table for name, table in _table(tree, key).items() if isinstance(table, dict)}


def _array(tree: Tree, key: str) -> list[Tree]:
    """The tables `[[key]]`; whatever is no table is reported elsewhere."""
    tables = tree.get(key)
    return [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []


def _secrets(tree: Tree) -> list[str]:
    """The values of all secret keys, whatever else is wrong with their tables."""
    sections = [*_tables(tree, "apps").values(), *_tables(tree, "tokens").values(), *_array(tree, "notify")]
    values = [section.get(key) for section in sections for key in SECRET_KEYS]
    return [value for value in values if isinstance(value, str)]


def _origins(location: tuple[str, ...], value: object) -> Iterator[tuple[str, str]]:
    """Where each key's value came from, by its full name; of the third table of an array: `notify.2.url`."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        value = {str(number): inner for number, inner in enumerate(value)}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _origins((*location, key), inner)
        return
    parts = value if isinstance(value, list) else [value]
    sources = [source for part in parts if isinstance(part, Expanded) for source in part.sources]
    yield ".".join(location), ", ".join(dict.fromkeys(sources)) or "config file"


def _fill_in(tree: Tree) -> None:
    """Writes down what may be left out because the rest of the document says it."""
    try:
        output = FilePath().read(_table(tree, "output").get("dir", ""))
    except UnfitError:
        output = OutputSection().dir
    if isinstance(state := tree.setdefault("state", {}), dict):
        state.setdefault("dir", str(output / STATE_FOLDER))
        if isinstance(state["dir"], str):
            state.setdefault("tokens_dir", str(Path(state["dir"]) / TOKENS_FOLDER))
    apps = _tables(tree, "apps")
    tokens = _tables(tree, "tokens")
    for names, tables, key in ((apps, tokens, "app"), (tokens, _tables(tree, "discover"), "token")):
        if len(names) <= 1:
            for table in tables.values():
                table.setdefault(key, next(iter(names), "none"))


def _check_references(tree: Tree, findings: Findings) -> None:
    """Reports what no key can know by itself: the tables that must be there, and the names that must exist."""
    apps, tokens = _tables(tree, "apps"), _tables(tree, "tokens")
    for kind in ("apps", "tokens"):
        if tree.get(kind, {}) == {}:
            findings.at_key((kind,), f"is missing; expected at least one table [{kind}.NAME]")
    for name, table in _tables(tree, "discover").items():
        _check_reference(("discover", name, "token"), table.get("token"), tokens, findings)
    spelled: dict[str, str] = {}
    for name, token in tokens.items():
        if (other := spelled.setdefault(name.casefold(), name)) != name:
            message = f"differs from [tokens.{shown_name(other)}] in upper and lower case only: one file on some disks"
            findings.at_key(("tokens", name), message)
        app = token.get("app")
        if not _check_reference(("tokens", name, "app"), app, apps, findings):
            continue
        if "refresh_token" in token and app in apps and "client_secret" not in apps[app]:
            secret = dotted(("apps", app, "client_secret"))
            findings.notes.append(f"{findings.key(('tokens', name, 'refresh_token'))}: has no use without {secret}")
    _check_clients(apps, findings)


def _check_reference(location: tuple[str, str, str], name: object, known: Tree, findings: Findings) -> bool:
    """Whether a reference by the name of its key leads somewhere; `known` is empty when that is reported elsewhere."""
    if not known or not isinstance(name, str) or name in known:
        return True
    hint = did_you_mean(name, known) or f"expected {', '.join(map(shown_name, known))}"
    findings.at_key(location, f"unknown {location[-1]} {shown(name)}; {hint}")
    return False


def _check_clients(apps: Mapping[str, Tree], findings: Findings) -> None:
    owners: dict[str, str] = {}
    for name, app in apps.items():
        client = app.get("client_id")
        if isinstance(client, str) and owners.setdefault(client, name) != name:
            other = f"[apps.{shown_name(owners[client])}]"
            message = f"is the client_id of {other} too; quotas are per app, so an app has one table"
            findings.at_key(("apps", name, "client_id"), message)
