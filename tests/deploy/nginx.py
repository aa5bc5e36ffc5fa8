"""nginx with the project's own configuration, in front of an ingress of the tests.

Guarantees: only addresses, ports and file names differ from the file in `deploy/`; it listens on 127.0.0.1
alone, and ends with the `with` block, or by itself within `LONGEST_S`. Leaves to others: the ingress.
"""

from __future__ import annotations

import datetime
import http.client
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers import ROOT
from tests.waiting import wait_until

CONFIGURATION = ROOT / "deploy" / "nginx" / "notifystream-ingress.conf"
HOST = "hooks.example.com"
LONGEST_S = 280
# Around the file, what Debian's nginx.conf has around conf.d; in one process and in one folder.
_AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/rest.log crit;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/notifystream-ingress.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running nginx: its ports, its certificate, and the folder of its logs."""

    tls_port: int
    plain_port: int
    folder: Path

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        host: str = HOST,
        name: str = HOST,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> Answer:
        """One request over this TLS to `name`; the target goes out as it is written."""
        trusted = ssl.create_default_context(cafile=self.folder / "certificate.pem")
        trusted.minimum_version = trusted.maximum_version = version
        with closing(http.client.HTTPConnection("127.0.0.1", self.tls_port, timeout=20)) as connection:
            plain = socket.create_connection(("127.0.0.1", self.tls_port), timeout=20)
            try:
                connection.sock = trusted.wrap_socket(plain, server_hostname=name)
            finally:
                plain.close()  # wrapped, it is another object's
            return _asked(connection, method, target, body, {"Host": host} | dict(headers or {}))

    def ask_plain(self, target: str) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=20)) as connection:
            return _asked(connection, "GET", target, None, {"Host": HOST})

    def logged(self) -> str:
        """All that nginx has written, in all logs."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def _asked(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> Answer:
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    return Answer(answer.status, dict(answer.getheaders()), answer.read())


def why_no_nginx() -> str | None:
    """None when there is one to run."""
    return None if _program() else "there is no nginx here; Debian has it as nginx-light"


def _program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def write_configuration(folder: Path, ingress_port: int) -> Proxy:
    """The project's file, made to run in `folder` without root and beside other servers."""
    tls_port, plain_port = _free_ports(2)
    _write_certificate(folder)
    text = CONFIGURATION.read_text()
    for pattern, by in (
        (r"\n *listen \[::\]:\d+[^;]*;", ""),
        (r"listen 443 ssl", f"listen 127.0.0.1:{tls_port} ssl"),
        (r"listen 80;", f"listen 127.0.0.1:{plain_port};"),
        (r"server 127\.0\.0\.1:8080;", f"server 127.0.0.1:{ingress_port};"),
        (r"/etc/letsencrypt/live/hooks\.example\.com/fullchain\.pem", str(folder / "certificate.pem")),
        (r"/etc/letsencrypt/live/hooks\.example\.com/privkey\.pem", str(folder / "key.pem")),
        (r"/var/log/nginx/", f"{folder}/"),
    ):
        text, found = re.subn(pattern, by, text)
        assert found, f"nothing in {CONFIGURATION.name} is {pattern}: correct the test"
    (folder / "notifystream-ingress.conf").write_text(text)
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))
    return Proxy(tls_port, plain_port, folder)


def command(folder: Path, *options: str) -> list[str]:
    program = _program()
    assert program is not None
    return [
        program,
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        f"{folder}/rest.log",
        *options,
    ]


@contextmanager
def running(folder: Path, ingress_port: int) -> Iterator[Proxy]:
    """nginx in front of an ingress on this port of 127.0.0.1."""
    proxy = write_configuration(folder, ingress_port)
    with (
        (folder / "stderr.log").open("ab") as log,
        subprocess.Popen(["timeout", str(LONGEST_S), *command(folder)], stderr=log) as process,
    ):
        try:
            wait_until(lambda: _answers(proxy) or process.poll() is not None, 20, "nginx to answer")
            assert process.poll() is None, proxy.logged()
            yield proxy
        finally:
            process.terminate()


def _answers(proxy: Proxy) -> bool:
    try:
        return proxy.ask_plain("/").status == 404
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
