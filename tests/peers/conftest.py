"""Published clients against the simulated servers, over real HTTP: what they read must be the server's truth.

Their authors tried them on the vendors' own servers. Where one of them reads less, more or other records than are
there, the simulator is unlike the vendor, and our connectors' tests prove nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from portals import Serve

from benchmarks.certificate import make_certificate
from demo import amocrm, bitrix24
from demo.amocrm import AmocrmWorld
from demo.bitrix24 import Bitrix24World
from demo.company import build_company
from demo.http import SimulatedServer
from demo.story import Story

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.peers)


@pytest.fixture(scope="session")
def story() -> Story:
    """Enough deals that every kind of list has more than one page."""
    return build_company(deals=280)


@pytest.fixture(scope="session")
def company(story: Story) -> Bitrix24World:
    """The company's portal; nobody changes it."""
    return bitrix24.world_from_story(story)


@pytest.fixture(scope="session")
def account(story: Story) -> AmocrmWorld:
    """The company's account; nobody changes it."""
    return amocrm.world_from_story(story)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(server)` gives the address; every server is stopped at the end."""
    with ExitStack() as running:
        yield lambda server: running.enter_context(server).url


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1 for this run of the tests."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "loopback.pem")


@pytest.fixture
def serve_https(serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """As `serve`, over HTTPS with a certificate `requests` is told to trust by its own variable."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    def start(server: SimulatedServer) -> str:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(certificate)
        return serve(server)

    return start
