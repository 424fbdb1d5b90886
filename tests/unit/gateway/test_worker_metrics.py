"""The worker's numbers are metrics of every gateway of its folder."""

from gateway.counting.worker_metrics import worker_text
from gateway.run.duties import DutyCondition, DutyState


def test_worker_text_of_two_duties() -> None:
    """Whether each is done, how often it failed, and what it counted."""
    states = [
        DutyState("relay", DutyCondition.RUNNING, 2, "", {"gifts": 7}),
        DutyState("flusher", DutyCondition.STOPPED, 1, "I9: a record is missing", {}),
    ]
    lines = worker_text(states, 0).decode().splitlines()
    for line in (
        'giftwire_worker_duty_running{duty="relay"} 1.0',
        'giftwire_worker_duty_running{duty="flusher"} 0.0',
        'giftwire_worker_duty_failures{duty="relay"} 2.0',
        'giftwire_worker_duty_number{duty="relay",of="gifts"} 7.0',
    ):
        assert line in lines


def test_worker_text_without_a_worker() -> None:
    """Nothing is claimed of a worker that does not write here."""
    assert worker_text([], 0) == b""


def test_worker_text_of_the_rolling_audit() -> None:
    """Rounds, what was looked at, how long ago the last whole round ended, and violations by invariant."""
    numbers = {
        "rounds": 3,
        "since_ms": 61_000,
        "checked": 900,
        "busy_ms": 1_500,
        "violations_I1": 0,
        "violations_I9": 2,
    }
    lines = worker_text([DutyState("audit", DutyCondition.RUNNING, 0, "", numbers)], 91_500).decode().splitlines()
    for line in (
        "giftwire_audit_rounds 3.0",
        "giftwire_audit_round_age_seconds 30.5",
        "giftwire_audit_checked 900.0",
        "giftwire_audit_busy_seconds 1.5",
        'giftwire_audit_violations{invariant="I1"} 0.0',
        'giftwire_audit_violations{invariant="I9"} 2.0',
    ):
        assert line in lines


def test_worker_text_of_all_audits() -> None:
    """Violations of an invariant that several audits look after are added up; the round of the rooms has its age."""
    states = [
        DutyState("audit", DutyCondition.RUNNING, numbers={"violations_I10": 0}),
        DutyState("told", DutyCondition.RUNNING, numbers={"violations_I5": 1, "behind": 4}),
        DutyState("rooms", DutyCondition.RUNNING, numbers={"violations_I5": 2, "violations_I8": 3, "since_ms": 1_000}),
    ]
    lines = worker_text(states, 3_500).decode().splitlines()
    assert [line for line in lines if line.startswith("giftwire_audit_violations{")] == [
        'giftwire_audit_violations{invariant="I5"} 3.0',
        'giftwire_audit_violations{invariant="I8"} 3.0',
        'giftwire_audit_violations{invariant="I10"} 0.0',
    ]
    assert "giftwire_audit_rooms_round_age_seconds 2.5" in lines
    assert [line for line in lines if line.startswith("giftwire_worker_duty_number{")] == [
        'giftwire_worker_duty_number{duty="told",of="behind"} 4.0'
    ]
