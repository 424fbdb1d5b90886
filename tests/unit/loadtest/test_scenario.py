"""Scenarios are read whole or not at all."""

from pathlib import Path

import pytest

from loadtest.script.scenario import BUILT_IN, ScenarioError, load_scenario, scale, with_senders_for

GOOD = """
name = "t"
summary = "t"
rate_per_s = 10.0
duration_s = 2.0
phases = [{ share = 0.5, start = 0.0, end = 1.0 }, { share = 0.5, start = 1.0, end = 2.0 }]
mix = [{ gift = "rose" }]
seed = 1
"""


def write(folder: Path, text: str) -> str:
    """A scenario file with this text."""
    path = folder / "s.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_scenario_is_valid(name: str) -> None:
    """Every scenario that comes along can be read, is named after its file and has an overlay to judge by."""
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.population.overlays_per_room >= 1
    assert scenario.thresholds.shed_share_max == 0


def test_scenario_file_is_read(tmp_path: Path) -> None:
    """A path works like a name; what is absent has its default."""
    scenario = load_scenario(write(tmp_path, GOOD))
    assert (scenario.rate_peak_per_s, scenario.population.rooms, scenario.poisson) == (20.0, 1, True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("share = 0.5, start = 0.0", "share = 0.4, start = 0.0", "must sum to 1"),
        ('[{ gift = "rose" }]', "[]", "at least one gift"),
        ('[{ gift = "rose" }]', '[{ gift = "rose" }, { gift = "rose" }]', "rose stands twice"),
        ("rate_per_s = 10.0", "rate_per_s = 0.0", "rate_per_s"),
        ("rate_per_s = 10.0", "rate_per_sec = 10.0", "rate_per_sec"),
        ("rate_per_s = 10.0", "rate_per_s = ", "Invalid value"),
        ("end = 1.0", "end = -1.0", "end"),
        ('[{ gift = "rose" }]', '[{ gift = "rose", whale = true }]', "beside those of whales"),
        ('[{ gift = "rose" }]', '[{ gift = "rose" }, { gift = "swan", whale = true }]', "they need senders"),
        ("seed = 1", "seed = 1\n[whales]\nsenders = 2", "they need senders"),
        ("seed = 1", "seed = 1\n[whales]\nsenders = 50", "other senders"),
    ],
)
def test_wrong_scenario_is_refused_by_name_of_the_fault(tmp_path: Path, old: str, new: str, told: str) -> None:
    """A scenario that is not TOML, has an unknown key, a wrong value or a contradiction is refused in words."""
    with pytest.raises(ScenarioError, match=told):
        load_scenario(write(tmp_path, GOOD.replace(old, new, 1)))


def test_phases_that_never_send_are_refused(tmp_path: Path) -> None:
    """A run that would send nothing could only pass vacuously."""
    silent = GOOD.replace("start = 0.0, end = 1.0", "start = 0.0, end = 0.0").replace(
        "start = 1.0, end = 2.0", "start = 0.0, end = 0.0"
    )
    with pytest.raises(ScenarioError, match="no phase sends"):
        load_scenario(write(tmp_path, silent))


def test_absent_scenario_is_refused() -> None:
    """A name that is neither built in nor a file is told so."""
    with pytest.raises(ScenarioError, match=r"no scenario no_such_scenario; built in are .*hot_room"):
        load_scenario("no_such_scenario")


def test_scaled_scenario_changes_what_was_named_only() -> None:
    """Flags replace values one by one."""
    plain = load_scenario("hot_room")
    scaled = scale(plain, duration_s=3.0, viewers=7)
    assert (scaled.duration_s, scaled.population.viewers) == (3.0, 7)
    assert (scaled.rate_per_s, scaled.seed) == (plain.rate_per_s, plain.seed)
    assert scaled.population.senders == plain.population.senders


@pytest.mark.parametrize(("rate_per_s", "senders"), [(1_000.0, 101), (100.0, 100)])
def test_senders_are_enough_for_the_peak(rate_per_s: float, senders: int) -> None:
    """Each sends at half of its limit at most, repeats included; the scenario's own number is the least."""
    scaled = with_senders_for(scale(load_scenario("hot_room"), rate_per_s=rate_per_s), 20)
    assert scaled.population.senders == senders
