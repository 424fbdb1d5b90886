"""The figure of the bench of a reconnect storm."""

import pytest

from loadtest.bench.reconnect import ReconnectRound, ratio_of
from loadtest.record.spread import Spread


def storm(gateway_us: float, reference_us: float) -> ReconnectRound:
    """A round in which this CPU was used for a client."""
    return ReconnectRound(1.0, gateway_us, 0.0, 0.0, 1.0, reference_us)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([(300.0, 100.0), (200.0, 100.0), (500.0, 200.0)], Spread(2.5, 2.0, 3.0, 3)),
        ([(0.0, 100.0)], Spread(0.0, 0.0, 0.0, 1)),
        ([(300.0, 100.0), (250.0, 0.0)], None),
    ],
)
def test_ratio_to_the_bare_server(rounds: list[tuple[float, float]], expected: Spread | None) -> None:
    """Of each round; none where the kernel's clock counted no CPU of the bare server in one of them."""
    assert ratio_of([storm(*used) for used in rounds]) == expected
