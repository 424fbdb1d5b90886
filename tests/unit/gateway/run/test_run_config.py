"""Where a process finds the servers and itself."""

import msgspec
import pytest

from gateway.run.settings.config import Config, located
from ledger.config import Endpoints

RUNNING = Endpoints(redis_url="unix:///r", database_url="postgresql:///d")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - compared, not bound
        ("::1", "http://[::1]:8080"),
        ("::", "http://[::1]:8080"),
        ("gifts.example", "http://gifts.example:8080"),
    ],
)
def test_url_of_a_host(host: str, url: str) -> None:
    """It can be opened on this machine, whatever is listened on."""
    assert Config(host=host).http_url == url


def test_url_behind_a_proxy() -> None:
    """Browsers are told the public one; this machine asks itself directly."""
    config = Config(public_url="https://gifts.example")
    assert config.http_url == "https://gifts.example"
    assert config.local_url == "http://127.0.0.1:8080"


def test_servers_of_the_folder() -> None:
    """They are used where the operator names none."""
    config = located(Config(), RUNNING)
    assert (config.ledger.redis_url, config.ledger.database_url) == ("unix:///r", "postgresql:///d")


def test_servers_of_the_operator() -> None:
    """What the operator names counts, one by one."""
    config = located(Config(redis_url="redis://mine"), RUNNING)
    assert (config.ledger.redis_url, config.ledger.database_url) == ("redis://mine", "postgresql:///d")


def test_servers_that_nobody_named() -> None:
    """The missing flags are told."""
    with pytest.raises(LookupError, match="no --database-url is given"):
        located(Config(redis_url="redis://mine"), None)


@pytest.mark.parametrize(("workers", "least"), [(3, 3), (0, 1)])
def test_gateways_of_a_machine(workers: int, least: int) -> None:
    """As many as were asked for; else by the processors, and never none."""
    gateways = msgspec.structs.replace(Config(), workers=workers).gateways
    assert gateways == workers if workers else gateways >= least
