"""A token goes to the API and nowhere else: no redirect, no proxy, no unverified TLS."""

import ast
import asyncio
import ipaddress
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

import harvester
from harvester.config.values import parse_base_url
from harvester.errors import ExitCode
from harvester.report import summary
from harvester.sandbox.endpoints import Endpoint
from tests.secrets.stage import (
    PLAIN,
    harvested,
    stage,
)
from tests.secrets.town import environment, program, write_config
from tests.secrets_hunt import (
    redirect_to,
)  # fmt: skip

pytestmark = pytest.mark.anyio


class TestRedirects:
    """Nobody follows them: they would carry the token along."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "target",
        ["http://{host}/?{{query}}", "//{host}/?{{query}}", "{{here}}", "?{{query}}&again=1", "file:///etc/hostname",
         "http://user:pass@{host}/", "https://{host}/?{{query}}", "//{host}\\@x/"],
    )  # fmt: skip
    async def test_another_server_sees_nothing(self, status: int, target: str, tmp_path: Path) -> None:
        """Nor does the same one see a request that nobody counted; for calls and for tokens."""
        async with trap() as (host, seen), stage(tmp_path, PLAIN, expired=status % 2 == 0) as on:
            on.echo.on = frozenset(Endpoint) - ({Endpoint.CALLS} if status % 2 == 0 else set())
            on.echo.tricks.extend([redirect_to(status, target.format(host=host))] * 3)
            report = await harvested(on)
            assert report
            assert report.exit_code == ExitCode.COMPLETE
            assert sum(report.requests.values()) == on.echo.stats.requests + (3 if status % 2 else 0)
            assert seen == []
            assert on.hunt.nothing()

    async def test_no_proxy_of_the_environment_is_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that somebody put there would see the token of a request to loopback."""
        async with trap() as (host, seen), stage(tmp_path) as on:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://{host}")
            assert (report := await harvested(on))
            assert (report.exit_code, seen) == (ExitCode.COMPLETE, [])


@asynccontextmanager
async def trap(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that must not be asked: its address, and what it heard."""
    heard: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.close()

    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)  # of a handshake that the other side refuses
    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as listener:
        yield "{}:{}".format(*listener.sockets[0].getsockname()), heard
    loop.set_exception_handler(before)


class TestTls:
    """Verified always."""

    def test_nothing_turns_it_off(self) -> None:
        """No argument, no attribute, no name of Python's ways to do so is in the program."""
        names = {"ssl", "verify_ssl", "ssl_context", "ssl_shutdown_timeout", "fingerprint", "verify", "trust_env",
                 "CERT_NONE", "check_hostname", "verify_mode", "_create_unverified_context", "proxy"}  # fmt: skip
        for path in Path(harvester.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.keyword(arg=str(name)) | ast.Attribute(attr=name) | ast.alias(name=name):
                        assert name not in names - ({"verify"} if "api" not in path.parts else set()), path

    @pytest.mark.parametrize(
        "url",
        [
            "http://api.e.qq.com", "http://127.0.0.1.evil.com", "http://localhost@evil.com", "http://evil#@localhost",
            "http://localhost:80@evil.com", "http://0x7f.1", "http://0x7f000001", "http://2130706433", "http://127.1",
            "http://0", "http://0.0.0.0", "http://[::]", "http://[::ffff:127.0.0.1]", "http://localhost.",
            "http://[::1]@evil", "http://127.0.0.1.", "http://127\u30020\u30020\u30021",
            "http://127\u20240\u20240\u20241", "http://\u24dbocalhost", "http://localhost%2eevil",
            "http://localhost\\@evil.com", "http://localhost\t.evil.com", "http://localhost.evil",
            "http://evil?localhost", "//localhost",
            "http://127.0.0.1/@evil.com", "http://127.0.0.1:80:80", "http:localhost", "http:///localhost",
            "HTTP://evil.com", "hTTp://10.0.0.1", "http://[fe80::1]", "http://[::1%25lo]", "http://127.0.0.1:99999",
            "ftp://127.0.0.1", "file:///etc", "unix://x", "https://user:pass@api.e.qq.com", "https://api.e.qq.com?x=1",
            "http://localhost\n", " http://localhost", "http://127.00.0.1",
        ],
    )  # fmt: skip
    def test_http_is_for_loopback_only(self, url: str) -> None:
        """Whatever it is disguised as."""
        with pytest.raises(ValueError, match="expected"):
            parse_base_url(url)

    @pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9:1", "http://[::1]:80"])
    def test_loopback_is_loopback(self, url: str) -> None:
        """For the sandbox."""
        assert parse_base_url(url) == url

    @given(st.text(st.sampled_from("127.0:/@[]lochst\\%2e#?a\t\u3002"), max_size=24))
    def test_what_passes_leads_to_loopback(self, rest: str) -> None:
        """As the client itself reads the URL."""
        try:
            url = parse_base_url(f"http://{rest}")
        except ValueError:
            return
        host = URL(f"{url}/v3.0/x?access_token=1", encoded=True).host
        assert host
        assert host == "localhost" or ipaddress.ip_address(host).is_loopback

    async def test_an_untrusted_certificate(self, tmp_path: Path) -> None:
        """No token goes there, and a person is told what to do; by the first request and by a renewal."""
        with certificate(tmp_path) as (tls, _):
            for expired in (False, True):
                async with trap(tls) as (host, seen), stage(tmp_path / str(expired), PLAIN, expired=expired) as on:
                    on.assignment = replace(on.assignment, base_url=f"https://{host}")
                    report = await harvested(on)
                    assert report
                    assert seen == []
                    said = summary.in_words(report)
                    assert "no trusted TLS connection (self-signed certificate); nothing was sent" in said
                    assert "SSL_CERT_FILE" in said
                    assert on.hunt.nothing()

    @pytest.mark.parametrize("trusted", [True, False])
    def test_a_certificate_for_another_host(self, trusted: bool, tmp_path: Path) -> None:
        """One that is trusted does for its own name only; with that one a run goes on, so the refusal is TLS's own."""
        name = "IP:127.0.0.1" if trusted else "DNS:another.example"
        with (
            certificate(tmp_path, name) as (tls, file),
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(trap(tls)) as (host, seen),
        ):
            config = write_config(tmp_path, f"https://{host}")
            done = program("run", config, SSL_CERT_FILE=str(file), **environment(PLAIN))
        assert done.returncode in {ExitCode.PARTIAL, ExitCode.BUDGET}
        assert bool(seen) is trusted
        assert ("no trusted TLS connection (IP address mismatch" in done.stderr) is (not trusted)


@contextmanager
def certificate(folder: Path, name: str = "IP:127.0.0.1") -> Iterator[tuple[ssl.SSLContext, Path]]:
    """A server's side of TLS with a certificate that nobody has heard of, and its file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here to make a certificate with")
    folder.mkdir(exist_ok=True)
    key, file = folder / "tls.key", folder / "tls.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "9",
    ]
    names = ["-subj", "/CN=sandbox", "-addext", f"subjectAltName={name}"]
    subprocess.run([*command, *names, "-keyout", key, "-out", file], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file, key)
    key.unlink()
    yield tls, file
