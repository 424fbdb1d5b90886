"""Bulk histograms agree with the package's own recording, sample by sample."""

import random

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from loadtest.record.latency import LATENCY_US_MAX, PERCENTILES, Latencies


def test_bulk_recording_equals_recording_one_by_one() -> None:
    """Every percentile, over seven orders of magnitude, is what hdrhistogram itself finds."""
    rng = random.Random(5)
    samples_us = [int(10 ** rng.uniform(0, 8)) for _ in range(20_000)]
    bulk, single = Latencies(), HdrHistogram(1, LATENCY_US_MAX, 3)
    bulk.record_ns(np.array(samples_us) * 1000)
    for sample in samples_us:
        single.record_value(sample)
    histogram = bulk.histogram()
    assert histogram.get_total_count() == len(bulk) == 20_000
    for percentile in (0.0, 1.0, *PERCENTILES, 100.0):
        assert histogram.get_value_at_percentile(percentile) == single.get_value_at_percentile(percentile)


@pytest.mark.parametrize("us", [0, 1, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 1_000_000, LATENCY_US_MAX])
def test_sample_at_a_bucket_border_keeps_three_digits(us: int) -> None:
    """Borders of buckets are where an off-by-one would show."""
    latencies = Latencies()
    latencies.record_ns([us * 1000])
    found_ms = latencies.percentile_ms(100)
    assert found_ms is not None
    assert us <= round(found_ms * 1000) <= us * 1.001


def test_samples_out_of_range_are_kept_at_the_border() -> None:
    """A negative sample (a clock that stepped) counts as zero, a day as an hour; none is dropped."""
    latencies = Latencies()
    latencies.record_ns([-5_000, 86_400 * 10**9])
    summary = latencies.summary()
    assert summary.samples == 2
    assert summary.p50_ms == 0
    assert summary.max_ms == pytest.approx(LATENCY_US_MAX / 1000, rel=0.001)


def test_added_histograms_hold_the_samples_of_both() -> None:
    """Merging processes loses nothing."""
    one, other = Latencies(), Latencies()
    one.record_ns([1_000_000] * 99)
    other.record_ns([500_000_000])
    one.add(other)
    assert len(one) == 100
    assert one.percentile_ms(99) == pytest.approx(1.0, rel=0.001)
    assert one.percentile_ms(100) == pytest.approx(500.0, rel=0.001)


def test_encoded_histogram_comes_back() -> None:
    """The base64 form in a report is read by the package."""
    latencies = Latencies()
    latencies.record_ns([2_500_000] * 10)
    assert HdrHistogram.decode(latencies.summary().hdr).get_total_count() == 10


def test_empty_histogram_has_no_percentile() -> None:
    """No samples is not zero milliseconds."""
    assert Latencies().percentile_ms(99) is None
    assert Latencies().summary().p99_ms is None
