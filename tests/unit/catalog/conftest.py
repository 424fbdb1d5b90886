"""A small catalogue on disk that tests change one line at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = {
    "gifts.toml": """
[[tier]]
tier = 1
name = "Small"
price_coins_max = 99

[[tier]]
tier = 2
name = "Large"
price_coins_max = 50000

[[gift]]
id = "rose"
name = "Rose"
price_coins = 1
tier = 1
icon = "rose"
colour = "#ff0000"
animation = "fall"
effect = "float"
duration_ms = 1000
combo = true

[[gift]]
id = "lion"
name = "Lion"
price_coins = 29999
tier = 2
icon = "lion"
colour = "#00ff00"
animation = "roar"
effect = "screen"
duration_ms = 8000
""",
    "packages.toml": """
[web]
discount_bp = 2500
custom_coins_min = 50
custom_coins_max = 20000

[[package]]
id = "small"
coins = 100
in_app_price_minor = { USD = 129, JPY = 200, IDR = 2100000, KWD = 400 }

[[package]]
id = "large"
coins = 1000
in_app_price_minor = { USD = 1299, JPY = 2000, IDR = 21000000, KWD = 4000 }
""",
    "currencies.toml": """
default = "USD"
currency = [
    { code = "USD", countries = ["US"] },
    { code = "JPY", countries = ["JP"] },
    { code = "IDR", step_minor = 100, countries = ["ID"] },
    { code = "KWD", step_minor = 10, countries = ["KW"] },
]
""",
    "promotions.toml": """
[[promotion]]
id = "welcome"
first_purchase = true
bonus_bp = 2000
packages = ["small"]

[[promotion]]
id = "week"
starts = 2026-12-01T00:00:00Z
ends = 2026-12-08T00:00:00Z
discount_bp = 1000

[[promotion]]
id = "jakarta"
countries = ["ID"]
platforms = ["web"]
packages = ["large"]
bonus_coins = 150
""",
    "countries.toml": """
[default]
withdraw_age_min = 18
minors = { under_age = 18, day_coins_max = 500, month_coins_max = 900 }

[[country]]
code = "CN"
give_age_min = 8
buy_age_min = 9
guardian_ages = [8, 16]
minors = { day_coins_max = 50 }
own_caps_needed = ["gift", "day"]

[[country]]
code = "KR"
withdraw_age_min = 19
""",
    "levels.toml": "coins_from = [1, 10, 100]\n",
}

Change = Callable[..., Path]


@pytest.fixture
def catalog_folder(tmp_path: Path) -> Change:
    """Writes the small catalogue; each argument (file, old, new) changes one place of it first."""

    def write(*changes: tuple[str, str, str]) -> Path:
        texts = dict(SMALL)
        for file, old, new in changes:
            assert old in texts[file], f"{old!r} does not stand in {file}"
            texts[file] = texts[file].replace(old, new, 1)
        for file, text in texts.items():
            (tmp_path / file).write_text(text)
        return tmp_path

    return write
