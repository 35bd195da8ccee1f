"""The example service runs from its own Dockerfile, and the gate could run from the python image."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import httpx

from pytest_prodready.environment.certificates import Authority
from tests.images.build import Images, service_image
from tests.images.commands import docker
from tests.images.containers import created, network, ran, started
from tests.images.recipes import EXAMPLE
from tests.images.wheels import requirements

PASSWORD = "pass word"
CA = "/ca.pem"


def test_serves_from_its_dockerfile(images: Images, tmp_path: Path) -> None:
    """Migrations and the service reach Postgres by verify-full, as an ordinary user; SIGTERM ends it well."""
    authority = Authority(tmp_path)
    certificate = authority.issue(tmp_path, "db")
    server = {
        "/tls/server.pem": certificate.cert_file.read_bytes(),
        "/tls/key.pem": certificate.key_file.read_bytes(),
    }
    tls = ("-c", "ssl=on", "-c", "ssl_cert_file=/tls/server.pem", "-c", "ssl_key_file=/tls/key.pem")
    url = f"postgresql://postgres:{quote(PASSWORD)}@db/postgres?sslmode=verify-full&sslrootcert={CA}"
    ca, env = {CA: authority.ca_file.read_bytes()}, {"DATABASE_URL": url}
    with (
        network() as name,
        created(
            images.postgres,
            *tls,
            env={"POSTGRES_PASSWORD": PASSWORD},
            options=("--network", name, "--network-alias", "db"),
        ) as database,
    ):
        database.put(server, owner=999, mode=0o600)
        database.start()
        database.comes_to(lambda: database.exec("pg_isready", "--host=127.0.0.1").code == 0, "the database")
        inside = ("--network", name)
        migrate = ("python", "-m", "alembic", "upgrade", "head")
        with started(images.service, *migrate, env=env, files=ca, options=inside) as migration:
            assert migration.ended() == 0, migration.logs
        with started(images.service, env=env, files=ca, options=inside, publish=8000) as service:
            ready = f"http://127.0.0.1:{service.port(8000)}/health/ready"
            service.comes_to(lambda: httpx.get(ready).status_code == 200, "readiness")
            assert service.exec("id", "-u").said == "10001"
            assert service.stop() == 0


def test_a_changed_copy_has_its_own_image(images: Images, tmp_path: Path) -> None:
    """A copy of the example is the same image, until a file of it is another."""
    copy = tmp_path / "jobboard"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    assert service_image(copy) == images.service
    (copy / "jobboard" / "seed.py").write_text("print('changed')\n")
    changed = service_image(copy)
    try:
        assert ran(changed, "python", "-m", "jobboard.seed").said == "changed"
    finally:
        docker("image", "rm", changed)


def test_gate_can_be_installed_and_reach_the_engine(images: Images) -> None:
    """In the python image the gate's packages install without a network, and a mounted socket answers."""
    install = ran(
        images.python,
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        *requirements(),
        options=("--network", "none"),
    )
    assert install.code == 0, install.said
    ask = (
        "import socket; engine = socket.socket(socket.AF_UNIX); engine.connect('/var/run/docker.sock');"
        "engine.sendall(b'GET /_ping HTTP/1.0\\r\\n\\r\\n'); print(engine.recv(1000).split()[1].decode())"
    )
    mount = ("--volume", "/var/run/docker.sock:/var/run/docker.sock")
    assert ran(images.python, "python", "-c", ask, options=mount).said == "200"
