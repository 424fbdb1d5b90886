"""The page of a report holds all that it says, needs nothing else, and takes no word for markup."""

import re

import msgspec

from loadtest.checker.faults import Fault, FaultKind
from loadtest.record.timing import Second
from loadtest.report.page import page
from loadtest.report.report import Threshold
from loadtest.server.disturber import Struck
from loadtest.server.observer import Moment
from tests.unit.loadtest.reports import report, summary_of

SECONDS = [Second(second, 10, 9, 5.0, 20.0 + second) for second in range(5)]
USED = ({"gateway": 0.2}, {"gateway": 70.0})
MOMENTS = [Moment(at_s + 1.0, 9.0, 40.0, 4_000.0, 20.0, 0.0, 30.0, *USED) for at_s in range(5)]


def test_page_needs_nothing_from_elsewhere() -> None:
    """No script, and no address that a browser would fetch; plots stand in the page."""
    text = page(report(seconds=SECONDS, server=MOMENTS, overlay=summary_of(*range(1, 300))))
    assert text.count("<svg") == 2
    assert "<script" not in text
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", text)
    assert not re.search(r"url\((?!#)", text)


def test_words_of_a_report_are_no_markup() -> None:
    """A scenario's summary, or a server's words in a fault, may hold anything."""
    fault = Fault(FaultKind.CLIENT, 1, ["<script>alert(1)</script>"])
    whole = report()
    text = page(
        msgspec.structs.replace(whole, ok=False, verdict=msgspec.structs.replace(whole.verdict, faults=[fault]))
    )
    assert "A &lt;b&gt;test&lt;/b&gt;." in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert "FAILED" in text


def test_page_says_what_was_found_and_where() -> None:
    """Limits that broke, blows, refusals, the generator's doubts, seed and command."""
    struck = [Struck(3.0, "valkey", "kill", 0.0, 1.5, 2.25), Struck(9.0, "gateway-1", "stop", 2.0, None, None)]
    whole = report(
        seconds=SECONDS,
        struck=struck,
        refusals={"overloaded": 7},
        thresholds=[Threshold("accepted_p99_ms", 100.0, 150.5, held=False)],
    )
    text = page(
        msgspec.structs.replace(
            whole, generator=msgspec.structs.replace(whole.generator, limited_by=["process 1 used 99% of a core"])
        )
    )
    for words in (
        "valkey killed; ready after 1.50 s, a gift accepted after 2.25 s",
        "gateway-1 stopped for 2 s; ready after – (not in time)",
        "overloaded 7",
        "150.5",
        "broken",
        "process 1 used 99% of a core",
        "giftwire loadtest t",
        "<td>seed</td><td>1</td>",
    ):
        assert words in text


def test_run_without_a_sample_has_a_page() -> None:
    """A run in which nothing was accepted is shown too."""
    assert "<svg" in page(report(accepted=summary_of(), overlay=summary_of()))
