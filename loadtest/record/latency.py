"""Latencies as high-dynamic-range histograms: 3 significant digits from 1 µs to an hour.

Samples are put into the histogram's own buckets by numpy, millions at a time; the hdrhistogram package then
gives percentiles and the standard encoding, which other tools read.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from msgspec import Struct

LATENCY_US_MAX: Final = 3_600_000_000
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 99.99)

# As HdrHistogram lays out 3 digits: 2048 linear buckets, then 1024 for each doubling.
_HALF_BITS: Final = 10
_HALF: Final = 1 << _HALF_BITS
_DOUBLINGS: Final = LATENCY_US_MAX.bit_length() - _HALF_BITS
_BUCKETS: Final = (_DOUBLINGS + 1) * _HALF

Nanoseconds = npt.NDArray[np.int64]


class Summary(Struct, frozen=True):
    """What a report says of a histogram; all times in ms, None when there is no sample.

    Attributes:
        hdr: the histogram in HdrHistogram's base64 encoding, values in microseconds.
    """

    samples: int
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    p9999_ms: float | None = None
    max_ms: float | None = None
    hdr: str = ""


class Latencies:
    """A histogram that takes samples in bulk and merges."""

    def __init__(self) -> None:
        self.counts = np.zeros(_BUCKETS, dtype=np.int64)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def record_ns(self, samples_ns: Nanoseconds | Sequence[int]) -> None:
        """Count samples; one below a microsecond counts as 0, one over an hour as an hour."""
        samples = np.asarray(samples_ns, dtype=np.int64)
        if samples.size == 0:
            return
        micros = np.clip(samples // 1000, 0, LATENCY_US_MAX)
        # frexp gives the bit length of an integer exactly up to 2^53.
        shift = np.maximum(np.frexp(micros.astype(np.float64))[1] - (_HALF_BITS + 1), 0)
        self.counts += np.bincount(shift * _HALF + (micros >> shift), minlength=_BUCKETS)

    def add(self, other: "Latencies") -> None:
        """Take over the samples of another."""
        self.counts += other.counts

    def histogram(self) -> HdrHistogram:
        """The same samples as the package's histogram."""
        histogram = HdrHistogram(1, LATENCY_US_MAX, 3)
        for bucket in np.flatnonzero(self.counts):
            histogram.record_value(_lowest_us(int(bucket)), int(self.counts[bucket]))
        return histogram

    def percentile_ms(self, percentile: float) -> float | None:
        """The smallest latency that this share of the samples does not pass; None without samples."""
        total = len(self)
        if total == 0:
            return None
        rank = max(int(np.ceil(total * percentile / 100)), 1)
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return _highest_us(bucket) / 1000

    def summary(self) -> Summary:
        """Percentiles and the encoded histogram."""
        if len(self) == 0:
            return Summary(0)
        histogram = self.histogram()
        p50, p90, p99, p999, p9999 = (histogram.get_value_at_percentile(p) / 1000 for p in PERCENTILES)
        return Summary(
            samples=len(self),
            mean_ms=round(histogram.get_mean_value() / 1000, 3),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            p999_ms=p999,
            p9999_ms=p9999,
            max_ms=histogram.get_max_value() / 1000,
            hdr=histogram.encode().decode(),
        )


def _lowest_us(bucket: int) -> int:
    shift = max((bucket >> _HALF_BITS) - 1, 0)
    return bucket - shift * _HALF << shift


def _highest_us(bucket: int) -> int:
    shift = max((bucket >> _HALF_BITS) - 1, 0)
    return (bucket - shift * _HALF + 1 << shift) - 1
