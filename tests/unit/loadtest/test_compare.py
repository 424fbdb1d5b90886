"""Two reports side by side: what differs, whether it is more than noise, and what was not the same."""

from pathlib import Path

import msgspec
import pytest

from loadtest.record.timing import Second
from loadtest.report.compare import Difference, NotComparable, compare, compare_files
from loadtest.report.report import Report, write_json
from loadtest.script.scenario import scale
from loadtest.server.observer import Moment
from tests.unit.loadtest.reports import SCENARIO, report, summary_of


def seconds(*p99_ms: float | None) -> list[Second]:
    """Seconds with these 99th percentiles."""
    return [Second(number, 10, 10, 1.0, ms) for number, ms in enumerate(p99_ms)]


def difference(first: Report, second: Report, name: str) -> Difference:
    """One line of the comparison."""
    return next(one for one in compare(first, second).differences if one.name == name)


@pytest.mark.parametrize(
    ("second", "ratio", "clear"),
    [
        ((20.0, 21.0, 22.0, 23.0, 24.0), 2.0, True),
        ((10.0, 12.0, 14.0, 11.0, 13.0), 1.091, False),
        ((5.0, 5.0, 5.5, 6.0, 6.0), 0.5, True),
        ((20.0, 22.0, None), 1.909, None),
    ],
)
def test_difference_is_clear_when_the_middle_halves_lie_apart(
    second: tuple[float | None, ...], ratio: float, clear: bool | None
) -> None:
    """More or less; overlapping seconds are noise, few say nothing, and one without a gift is left out."""
    found = difference(
        report(seconds=seconds(9.0, 10.0, 11.0, 12.0, 13.0)), report(seconds=seconds(*second)), "p99 in a second, ms"
    )
    assert found.ratio == pytest.approx(ratio, abs=0.001)
    assert found.clear is clear


def test_numbers_of_the_whole_runs_are_divided() -> None:
    """Latencies of all gifts, refusals, and what the server's parts used, also of a part that one of them lacks."""
    first = report(overlay=summary_of(10.0), refusals={}, server=[Moment(1.0, cpu={"gateway": 0.5})])
    second = report(overlay=summary_of(30.0), refusals={"overloaded": 3}, server=[Moment(1.0, cpu={"worker": 0.25})])
    assert difference(first, second, "gift → overlay p99, ms").ratio == pytest.approx(3.0, rel=0.01)
    assert difference(first, second, "gift → viewer p99, ms") == Difference("gift → viewer p99, ms", None, None, None)
    assert difference(first, second, "refused") == Difference("refused", 0.0, 3.0, None)
    assert difference(first, second, "gateway, cores") == Difference("gateway, cores", 0.5, None, None)
    assert difference(first, second, "worker, cores") == Difference("worker, cores", None, 0.25, None)


def test_what_was_not_the_same_is_named() -> None:
    """Other rates, packages and addresses, and a generator that was busy."""
    first, second = report(), report(url="ws://elsewhere/v1/ws", scenario=scale(SCENARIO, rate_per_s=7.0), ok=False)
    where = msgspec.structs.replace(second.environment, packages={"picows": "0"}, commit="0+")
    busy = msgspec.structs.replace(second.generator, limited_by=["process 1 was busy"])
    found = compare(first, msgspec.structs.replace(second, environment=where, generator=busy))
    assert not found.ok
    for words in (
        "server: ws://127.0.0.1:1/v1/ws and ws://elsewhere/v1/ws",
        "scenario's rate_per_s: 100.0 and 7.0",
        "the second run's generator: process 1 was busy",
    ):
        assert words in found.unlike
    assert any(line.startswith("picows: ") and line.endswith(" and 0") for line in found.unlike)
    assert any(line.startswith("commit: ") for line in found.unlike)


def test_run_beside_itself_is_the_same() -> None:
    """Nothing is unlike, every ratio is 1, and no difference is clear."""
    one = report(seconds=seconds(9.0, 10.0, 11.0, 12.0, 13.0))
    found = compare(one, one)
    assert (found.ok, found.unlike) == (True, [])
    assert {difference.ratio for difference in found.differences} <= {1.0, None}
    assert not any(difference.clear for difference in found.differences)


def test_reports_are_read_from_files(tmp_path: Path) -> None:
    """As `--report` writes them, and as `--json` prints a single one."""
    write_json(report(), tmp_path / "a.json")
    (tmp_path / "b.json").write_bytes(msgspec.json.encode([report(gifts_per_s=5.0)]))
    assert compare_files(tmp_path / "a.json", tmp_path / "b.json").scenario == "t"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[]", "holds 0 reports"), (b"{}", "is no report"), (b"no", "is no report"), (None, "cannot read")],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    """By name and in words."""
    write_json(report(), tmp_path / "a.json")
    if content is not None:
        (tmp_path / "b.json").write_bytes(content)
    with pytest.raises(NotComparable, match=f"b.json.*{words}|{words}.*b.json"):
        compare_files(tmp_path / "a.json", tmp_path / "b.json")


def test_runs_of_different_scenarios_are_not_compared() -> None:
    """Their numbers have nothing to do with each other."""
    with pytest.raises(NotComparable, match="one is of t, the other of u"):
        compare(report(), report(scenario=msgspec.structs.replace(SCENARIO, name="u")))
