"""The tables that say what follows a run: `[[notify]]` and `[metrics]`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from harvester.config.leaves import Leaf
from harvester.config.section import Section
from harvester.config.show import Expanded, Unresolved, did_you_mean, quoted, shown
from harvester.config.texts import Choice, FilePath, Secret
from harvester.config.values import UnfitError, is_loopback
from harvester.notice import DEFAULT_TEXT, FIELDS, On, Template, parse_template

Service = Literal["json", "wecom", "feishu", "dingtalk", "slack"]
SIGNED = ("dingtalk", "feishu")
"""The services that know a signing secret."""


class WebhookUrl(Secret):
    """A webhook's address: whoever knows it may post there, so it is a secret whole."""

    expected = "the webhook's address, https://…"

    def read(self, raw: object) -> SecretStr:
        """The address; nothing of it stands in a message."""
        url = super().read(raw)
        if not _is_address(url.get_secret_value()):
            raise ValueError(f"found something else (not shown); expected {self.expected}")
        return url


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return fits and parts.username is None and parts.password is None


class Words(Leaf):
    """An array of some words out of a few."""

    templated = False

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    @property
    def expected(self) -> str:
        """The words."""
        return f"an array of {', '.join(map(quoted, self.words))}"

    def read(self, raw: object) -> tuple[str, ...]:
        """The words, each once."""
        if not isinstance(raw, list | tuple) or not raw:
            raise UnfitError(raw, self.expected, "put it in brackets" if isinstance(raw, str) else "")
        for one in raw:
            if not isinstance(one, Unresolved) and one not in self.words:
                hint = did_you_mean(one, self.words) if isinstance(one, str) else ""
                raise UnfitError(one, self.expected, hint)
        return tuple(dict.fromkeys(str(one) for one in raw))

    def schema(self) -> dict[str, Any]:
        """The words."""
        return {"type": "array", "items": {"enum": list(self.words)}}

    def text(self, value: tuple[str, ...]) -> str:
        """The words in brackets."""
        return f"[{', '.join(map(quoted, value))}]"


class TemplateText(Leaf):
    """A text with fields in braces."""

    expected = 'a text with fields such as "{headline}"; a brace is written "{{"'

    def read(self, raw: object) -> Template:
        """The template, every field of it known."""
        if not isinstance(raw, str) or not raw.strip():
            raise UnfitError(raw, self.expected)
        try:
            template = parse_template(str(raw))
        except ValueError as error:
            if len(error.args) == 1:
                raise ValueError(f"a brace that is not closed or not opened; expected {self.expected}") from None
            name = re.split(r"[.\[]", error.args[1])[0]
        else:
            written = raw.template if isinstance(raw, Expanded) else template.source.replace("${", "$${")
            return Template(written, template.parts)
        hint = did_you_mean(name, FIELDS) or f"expected one of {', '.join(FIELDS)}"
        raise ValueError(f"unknown field {shown(name)}; {hint}")

    def schema(self) -> dict[str, Any]:
        """A string; which fields there are stands in its description."""
        return {"type": "string", "minLength": 1}

    def text(self, value: Template) -> str:
        """The template as it was written."""
        return quoted(value.source)


class NotifySection(Section):
    """A webhook that is told how a run ended."""

    service: Annotated[Service, Choice(get_args(Service))] = Field(examples=["wecom"])
    """Whose words it understands; "json" gets every field, as JSON."""
    url: Annotated[SecretStr, WebhookUrl()] = Field(examples=["${HARVESTER_WEBHOOK}", "${file:/run/secrets/webhook}"])
    """Its address: a secret, since whoever knows it may post there; https, but for "json" and on loopback."""
    secret: Annotated[SecretStr | None, Secret()] = Field(default=None, examples=["${HARVESTER_WEBHOOK_SECRET}"])
    """Signs what is sent: of a "dingtalk" or "feishu" robot whose security setting is a signature."""
    on: Annotated[tuple[On, ...], Words(get_args(On))] = ("failure", "partial", "recovered")
    """When: "failure", "partial", "recovered" (this run is complete, the last one was not), or "always"."""
    text: Annotated[Template, TemplateText()] = parse_template(DEFAULT_TEXT)
    """What is said, with fields in braces."""

    @field_validator("url")
    @classmethod
    def _is_not_overheard(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme == "http" and info.data.get("service") != "json" and not is_loopback(parts.hostname or ""):
            raise ValueError('http would send its key in clear text; expected https (http: only of "json")')
        return url

    @field_validator("secret")
    @classmethod
    def _can_be_signed(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is not None and info.data.get("service") not in (*SIGNED, None):
            raise ValueError(f"{info.data['service']} knows no signing secret; only {' and '.join(SIGNED)} do")
        return secret


class Flag(Leaf):
    """Yes or no."""

    expected = "true or false"

    def read(self, raw: object) -> bool:
        """As it is written; an expansion brings text."""
        if isinstance(raw, Expanded) and raw in {"true", "false"}:
            return raw == "true"
        if not isinstance(raw, bool):
            raise UnfitError(raw, self.expected, "write it without quotes" if raw in {"true", "false"} else "")
        return raw

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"enum": [True, False]}

    def text(self, value: bool) -> str:  # noqa: FBT001 - a leaf's value, whatever its type
        """In TOML's notation."""
        return "true" if value else "false"


class GatewayUrl(Leaf):
    """A Pushgateway's address, which gives nobody any right."""

    expected = '"http://HOST[:PORT]" or "https://HOST[:PORT]", without a user name'

    def read(self, raw: object) -> str:
        """The address without a slash at its end."""
        if not isinstance(raw, str) or not _is_address(raw) or urlsplit(raw).query or not raw.isprintable():
            raise UnfitError(raw, self.expected)
        return str(raw).rstrip("/")

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "pattern": "^https?://[^?#@]+$"}


class MetricsSection(Section):
    """What Prometheus reads of a run; needs the extra `metrics`. OpenTelemetry is set up by OTEL_* variables."""

    textfile: Annotated[Path | None, FilePath()] = Field(
        default=None, examples=["/var/lib/prometheus/node-exporter/harvester.prom"]
    )
    """A file for node exporter's textfile collector, one for each config; its name ends in .prom."""
    pushgateway: Annotated[str | None, GatewayUrl()] = Field(default=None, examples=["http://pushgateway:9091"])
    """A Pushgateway that the figures are pushed to, under the job "harvester" and the config's name."""
    per_account: Annotated[bool, Flag()] = False
    """Whether accounts that lack something have figures of their own: one label value for each of them."""

    @field_validator("textfile")
    @classmethod
    def _is_collected(cls, path: Path | None) -> Path | None:
        if path is not None and path.suffix != ".prom":
            raise ValueError(
                f"found a name that ends in {shown(path.suffix)}; expected .prom: others are not collected"
            )
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What follows a run, apart from the rest of the config.

    Attributes:
        notify: Who is told how it ended.
        metrics: What monitoring reads of it; its paths are absolute.
        output_dir: The landing zone, with the reports; absolute, as `state_dir`.
        state_dir: Where it is remembered how the last run ended.
        config: The config's file name, which tells runs of one config from those of another.
    """

    notify: tuple[NotifySection, ...] = ()
    metrics: MetricsSection = field(default_factory=MetricsSection)
    output_dir: Path = Path()
    state_dir: Path = Path()
    config: str = ""
