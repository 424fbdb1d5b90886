"""Reading a catalogue: the packaged one is sound, and each kind of mistake is told with file and key."""

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.faults import CatalogInvalid
from catalog.load import FILE_BYTES_MAX, load_catalog

Write = Callable[..., Path]


def faults_of(folder: Path) -> list[str]:
    """The faults of a catalogue that must not be sound."""
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(folder)
    return [str(fault) for fault in caught.value.faults]


def test_packaged_catalog_is_sound() -> None:
    """The packaged catalogue has about thirty gifts in four tiers, from 1 to 44,999 coins."""
    catalog = load_catalog()
    assert 28 <= len(catalog.gifts) <= 36
    assert [tier.tier for tier in catalog.tiers] == [1, 2, 3, 4]
    assert {gift.tier for gift in catalog.gifts} == {1, 2, 3, 4}
    prices = {gift.id: gift.price_coins for gift in catalog.gifts}
    assert prices["heart"] == prices["rose"] == 1
    assert (prices["champagne"], prices["diamond"]) == (299, 1000)
    assert (prices["lion"], prices["universe"]) == (29_999, 44_999)
    assert max(prices.values()) == 44_999


def test_packaged_gifts_come_in_order_of_price() -> None:
    """Cheap gifts come first and can be sent in runs; the dear ones cannot."""
    catalog = load_catalog()
    prices = [gift.price_coins for gift in catalog.gifts]
    assert prices == sorted(prices)
    assert catalog.gifts[0].combo
    assert not any(gift.combo for gift in catalog.gifts if gift.price_coins >= 1000)


def test_packaged_levels_are_fifty() -> None:
    """Levels run from 1, at the first coin, to 50."""
    catalog = load_catalog()
    assert [catalog.level_of(coins) for coins in (0, 1, 9, 10, 50_000_000, 10**12)] == [0, 1, 1, 2, 50, 50]


def test_gift_unknown() -> None:
    """A gift that the catalogue has is found by its id, another is None."""
    catalog = load_catalog()
    rose = catalog.gift("rose")
    assert rose is not None
    assert rose.name == "Rose"
    assert catalog.gift("rosé") is None
    assert catalog.package("coins_100") is not None
    assert catalog.package("custom") is None


def test_own_folder_may_bring_one_file(tmp_path: Path) -> None:
    """A file that the folder does not bring is the packaged one."""
    (tmp_path / "levels.toml").write_text("coins_from = [5]\n")
    catalog = load_catalog(tmp_path)
    assert catalog.level_of(4) == 0
    assert catalog.level_of(5) == 1
    assert catalog.gifts == load_catalog().gifts


def test_version_follows_content(catalog_folder: Write) -> None:
    """The version is the same for the same content and another after a change of one price."""
    first = load_catalog(catalog_folder()).version
    comment = load_catalog(catalog_folder(("levels.toml", "coins_from", "# just words\ncoins_from"))).version
    dearer = load_catalog(catalog_folder(("gifts.toml", "29999", "29998"))).version
    assert first == comment
    assert first != dearer
    assert len(first) == 16


FAULTS: list[tuple[str, str, str, str]] = [
    # file, what stands there, what is put there, the fault
    ("gifts.toml", "price_coins = 1\n", "price_coins = 0\n", "gift[0].price_coins: Expected `int` >= 1"),
    ("gifts.toml", "price_coins = 29999", "price_coins = 1.5", "gift[1].price_coins: Expected `int`, got `float`"),
    ("gifts.toml", "price_coins = 29999", "price_coins = true", "gift[1].price_coins: Expected `int`, got `bool`"),
    ("gifts.toml", 'id = "lion"', 'id = "Lion!"', "gift[1].id: Expected `str` matching regex"),
    ("gifts.toml", 'id = "lion"', 'id = "rose"', "gift[1].id: `rose` stands already at gift[0]"),
    ("gifts.toml", 'icon = "lion"\n', "", "gift[1].icon: is missing"),
    ("gifts.toml", 'icon = "lion"\n', 'icon = "lion"\nsound = "x"\n', "gift[1].sound: unknown key"),
    ("gifts.toml", 'effect = "screen"', 'effect = "loud"', "gift[1].effect: Invalid enum value 'loud'"),
    ("gifts.toml", 'effect = "screen"', 'effect = "screen"\ncombo = true', "gift[1].combo: a gift that fills the"),
    ("gifts.toml", "#00ff00", "green", "gift[1].colour: Expected `str` matching regex"),
    ("gifts.toml", "tier = 2\nicon", "tier = 1\nicon", "gift[1].tier: a gift of 29999 coins is of tier 2, not 1"),
    ("gifts.toml", "max = 50000", "max = 20000", "gift[1].price_coins: 29999 is above the last tier"),
    ("gifts.toml", "max = 50000", "max = 99", "tier[1].price_coins_max: must be above 99"),
    ("gifts.toml", 'tier = 2\nname = "L', 'tier = 3\nname = "L', "tier[1].tier: must be 2"),
    ("packages.toml", "coins = 1000\n", "coins = 100\n", "package[1].coins: `100` stands already at package[0]"),
    ("packages.toml", 'id = "large"', 'id = "custom"', "package[1].id: `custom` is kept"),
    ("packages.toml", "USD = 1299", "USD = 129", "package[1].in_app_price_minor.USD: costs no more than `small`"),
    ("packages.toml", "USD = 1299", "USD = -1", "package[1].in_app_price_minor[...]: Expected `int` >= 1"),
    ("packages.toml", "USD = 1299", "GBP = 999", "package[1].in_app_price_minor: has no price in USD"),
    ("packages.toml", "USD = 1299", "USD = 1299, GBP = 9", "package[1].in_app_price_minor.GBP: GBP is not in"),
    ("packages.toml", "IDR = 2100000", "IDR = 2100050", "package[0].in_app_price_minor.IDR: must be a multiple of 100"),
    ("packages.toml", "discount_bp = 2500", "discount_bp = 9001", "web.discount_bp: Expected `int` <= 9000"),
    ("packages.toml", "max = 20000", "max = 49", "web.custom_coins_max: must not be below 50"),
    ("packages.toml", "[web]", "[web]\nwide = 1", "web.wide: unknown key"),
    ("currencies.toml", 'default = "USD"', 'default = "EUR"', "default: EUR is not among the currencies"),
    ("currencies.toml", '"KWD"', '"KWT"', "currency[3].code: KWT is no currency of ISO 4217 in use"),
    ("currencies.toml", '["JP"]', '["JP", "US"]', "currency[1].countries[1]: US already pays in USD"),
    ("currencies.toml", '["JP"]', '["JP", "JP"]', "currency[1].countries[1]: JP already pays in JPY"),
    ("currencies.toml", '["JP"]', '["jp"]', "currency[1].countries[0]: Expected `str` matching regex"),
    ("promotions.toml", 'packages = ["small"]', 'packages = ["tiny"]', "promotion[0].packages[0]: there is no package"),
    ("promotions.toml", "bonus_bp = 2000\n", "", "promotion[0]: gives neither a discount nor bonus coins"),
    ("promotions.toml", "2026-12-08", "2026-11-08", "promotion[1].ends: must be after `starts`"),
    ("promotions.toml", "00:00:00Z", "00:00:00", "promotion[1].starts: Expected `datetime` with a timezone component"),
    ("promotions.toml", 'id = "week"', 'id = "welcome"', "promotion[1].id: `welcome` stands already at promotion[0]"),
    ("promotions.toml", "bonus_coins = 150", "bonus_coins = 9999999", "promotion[2]: makes a purchase of more than"),
    ("promotions.toml", '["web"]', '["fax"]', "promotion[2].platforms[0]: Invalid enum value 'fax'"),
    ("levels.toml", "10, 100", "10, 10", "coins_from[2]: must be above 10"),
    ("levels.toml", "[1, 10, 100]", "[]", "coins_from: has 0 entries; 1 to 100 are allowed"),
    ("levels.toml", "[1, 10, 100]", "7", "coins_from: Expected `array`, got `int`"),
    ("levels.toml", "coins_from =", "coins_from", "levels.toml: "),
    (
        "countries.toml",
        "withdraw_age_min = 18",
        "withdraw_age_min = -1",
        "default.withdraw_age_min: Expected `int` >= 0",
    ),
    (
        "countries.toml",
        "withdraw_age_min = 18",
        "withdraw_age_min = 121",
        "default.withdraw_age_min: Expected `int` <= 1",
    ),
    ("countries.toml", "withdraw_age_min = 18", "own_caps_needed = []", "default.own_caps_needed: unknown key"),
    ("countries.toml", "under_age = 18, ", "", "default.minors.under_age: is missing: caps are for whom?"),
    ("countries.toml", "day_coins_max = 500", "day_coins_max = 0", "default.minors.day_coins_max: Expected `int` >= 1"),
    ("countries.toml", "day_coins_max = 500", "hour_coins_max = 5", "default.minors.hour_coins_max: unknown key"),
    ("countries.toml", '"CN"', '"KR"', "country[1].code: `KR` stands already at country[0]"),
    ("countries.toml", '"CN"', '"China"', "country[0].code: Expected `str` matching regex"),
    ("countries.toml", "[8, 16]", "[16, 8]", "country[0].guardian_ages: the youngest age comes first"),
    (
        "countries.toml",
        "[8, 16]\n",
        '[8, 16]\npayouts = [{ currency = "USD", min_minor = 9, day_max_minor = 8 }]\n',
        "country[0].payouts[0]: the least of a withdrawal (9) is above the most of a day (8)",
    ),
    (
        "countries.toml",
        "[8, 16]\n",
        '[8, 16]\npayouts = [{ currency = "XXA", min_minor = 9 }]\n',
        "country[0].payouts[0].currency: `XXA` is no currency in use",
    ),
    (
        "countries.toml",
        "[8, 16]\n",
        '[8, 16]\npayouts = [{ currency = "USD" }]\n',
        "country[0].payouts[0]: says neither `min_minor` nor `day_max_minor`",
    ),
    (
        "countries.toml",
        "[8, 16]\n",
        '[8, 16]\npayouts = [{ currency = "USD", min_minor = 1 }, { currency = "USD", min_minor = 2 }]\n',
        "country[0].payouts[1].currency: `USD` stands already at country[0].payouts[0]",
    ),
    ("countries.toml", "[8, 16]", "[8]", "country[0].guardian_ages: must be the youngest and the oldest age, or empty"),
    ("countries.toml", "[8, 16]", "8", "country[0].guardian_ages: Expected `array"),
    ("countries.toml", '"gift", "day"', '"gift", "hour"', "country[0].own_caps_needed[1]: Invalid enum value 'hour'"),
    ("countries.toml", "[default]\nwithdraw_age_min = 18", "[defaults]", "default: is missing"),
]


@pytest.mark.parametrize(("file", "old", "new", "fault"), FAULTS, ids=[f"{row[0]}-{row[3][:30]}" for row in FAULTS])
def test_fault_is_told_with_file_and_key(catalog_folder: Write, file: str, old: str, new: str, fault: str) -> None:
    """Each mistake is told with the file and the key where it stands."""
    told = faults_of(catalog_folder((file, old, new)))
    expected = fault if fault.startswith(file) else f"{file}: {fault}"
    assert any(line.startswith(expected) for line in told), told


def test_faults_of_all_files_are_told_at_once(catalog_folder: Write) -> None:
    """Mistakes in five files, two of them in one table, are told in one run, in the order of the files."""
    folder = catalog_folder(
        ("gifts.toml", 'name = "Rose"\nprice_coins = 1', 'name = ""\nprice_coins = -1'),
        ("packages.toml", "coins = 100\n", "coins = 0\n"),
        ("currencies.toml", 'default = "USD"', 'default = "usd"'),
        ("levels.toml", "1, 10", "10, 1"),
        ("countries.toml", "[8, 16]", "[16, 8]"),
    )
    (folder / "gift.toml").write_text("")
    assert [line.split(": ")[:2] for line in faults_of(folder)] == [
        [
            "gift.toml",
            "unknown file; known are countries.toml, currencies.toml, gifts.toml, levels.toml, packages.toml, "
            "promotions.toml",
        ],
        ["gifts.toml", "gift[0].name"],
        ["gifts.toml", "gift[0].price_coins"],
        ["packages.toml", "package[0].coins"],
        ["currencies.toml", "default"],
        ["levels.toml", "coins_from[1]"],
        ["countries.toml", "country[0].guardian_ages"],
    ]


def test_folder_that_is_none(tmp_path: Path) -> None:
    """A path without a folder is a fault, not the packaged catalogue."""
    assert faults_of(tmp_path / "nothing") == [f"{tmp_path / 'nothing'}: is not a folder"]


def test_file_over_its_bound(catalog_folder: Write) -> None:
    """A file of exactly the bound is read, one byte more is a fault."""
    folder = catalog_folder()
    text = (folder / "levels.toml").read_text()
    (folder / "levels.toml").write_text(text + "#" * (FILE_BYTES_MAX - len(text)))
    load_catalog(folder)
    (folder / "levels.toml").write_text(text + "#" * (FILE_BYTES_MAX - len(text) + 1))
    assert faults_of(folder) == [f"levels.toml: is larger than {FILE_BYTES_MAX} bytes"]


def test_file_that_is_no_text(catalog_folder: Write) -> None:
    """Bytes that are not UTF-8 are a fault of the file."""
    folder = catalog_folder()
    (folder / "levels.toml").write_bytes(b"\xff\xfe")
    assert faults_of(folder)[0].startswith("levels.toml: 'utf-8' codec can't decode")
