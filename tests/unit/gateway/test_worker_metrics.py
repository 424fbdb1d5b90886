"""The worker's numbers are metrics of every gateway of its folder."""

from gateway.run.duties import DutyCondition, DutyState
from gateway.worker_metrics import worker_text


def test_worker_text_of_two_duties() -> None:
    """Whether each is done, how often it failed, and what it counted."""
    states = [
        DutyState("relay", DutyCondition.RUNNING, 2, "", {"gifts": 7}),
        DutyState("flusher", DutyCondition.STOPPED, 1, "I9: a record is missing", {}),
    ]
    lines = worker_text(states).decode().splitlines()
    for line in (
        'giftwire_worker_duty_running{duty="relay"} 1.0',
        'giftwire_worker_duty_running{duty="flusher"} 0.0',
        'giftwire_worker_duty_failures{duty="relay"} 2.0',
        'giftwire_worker_duty_number{duty="relay",of="gifts"} 7.0',
    ):
        assert line in lines


def test_worker_text_without_a_worker() -> None:
    """Nothing is claimed of a worker that does not write here."""
    assert worker_text([]) == b""
