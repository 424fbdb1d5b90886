"""Which payment providers a configuration sets up, and what is said of one that cannot be used."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from gateway.rails import EXTRA_MISSING, build_rails, unusable_rail
from gateway.run.cli import commands
from gateway.run.settings.config import Config
from ledger.rails.config import StripeConfig
from tests.repo.sources import ROOT

KEY = "the signing key of a test, long enough"
SECRETS = {"secret_key": "sk_test_1", "webhook_secret": "whsec_1"}
VARIABLES = {"GIFTWIRE_STRIPE_SECRET_KEY": "sk_test_1", "GIFTWIRE_STRIPE_WEBHOOK_SECRET": "whsec_1"}


def config(secrets: dict[str, str], *, demo: bool = False) -> Config:
    """A configuration with these settings of Stripe."""
    return Config(demo=demo, signing_key=KEY, stripe=msgspec.convert(secrets, StripeConfig))


def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Stripe's library be missing."""
    find = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        return None if name == "stripe" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


@pytest.mark.parametrize(
    ("demo", "secrets", "names"),
    [(False, {}, []), (True, {}, ["sandbox"]), (False, SECRETS, ["stripe"]), (True, SECRETS, ["stripe", "sandbox"])],
)
async def test_rails(demo: bool, secrets: dict[str, str], names: list[str]) -> None:
    """The sandbox is there in the demo, Stripe with its secrets; money that is real is asked for first."""
    rails = build_rails(config(secrets, demo=demo))
    assert [rail.name for rail in rails.every] == names
    assert rails.default == (names[0] if names else None)
    assert (rails.sandbox is not None) == demo
    await rails.close()


@pytest.mark.parametrize("missing", list(SECRETS))
def test_rail_with_half_of_its_secrets(missing: str) -> None:
    """It is said which one is missing."""
    half = config({name: value for name, value in SECRETS.items() if name != missing})
    reason = unusable_rail(half)
    assert reason is not None and f"stripe.{missing} is missing" in reason
    with pytest.raises(ValueError, match="is missing"):
        build_rails(half)


def test_rail_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with what installs it; a deployment that does not use it does not need it."""
    no_library(monkeypatch)
    assert unusable_rail(config(SECRETS)) == EXTRA_MISSING
    assert unusable_rail(config({}, demo=True)) is None
    assert [rail.name for rail in build_rails(config({}, demo=True)).every] == ["sandbox"]


@pytest.mark.parametrize("command", ["serve", "gateway", "worker", "config check"])
def test_command_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str) -> None:
    """Nothing is started; exit status 2 and one sentence say what to install."""
    no_library(monkeypatch)
    words = [*command.split(), "--data-dir", str(tmp_path)]
    words += ["--redis-url", "redis://127.0.0.1:1/0", "--database-url", "postgresql://127.0.0.1:1/x"]
    ran = CliRunner().invoke(commands, words, env=VARIABLES)
    assert ran.exit_code == 2
    assert "giftwire[payments]" in ran.output
    assert not list(tmp_path.iterdir())


def test_secrets_that_are_shown() -> None:
    """`config show` and the faults of a wrong value tell neither of them."""
    shown = CliRunner().invoke(commands, ["config", "show"], env=VARIABLES)
    assert shown.exit_code == 0
    wrong = CliRunner().invoke(commands, ["config", "show"], env=dict.fromkeys(VARIABLES, "no-secret"))
    assert wrong.exit_code == 2
    for secret, output in (("sk_test_1", shown.output), ("whsec_1", shown.output), ("no-secret", wrong.output)):
        assert secret not in output
    assert "stripe.secret_key" in shown.output and "(hidden)" in shown.output


def test_gateway_and_worker_without_the_library() -> None:
    """Both are imported, and the demo's rails built, where Stripe's library and what it brings are missing."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('stripe', 'requests', 'urllib3', 'charset_normalizer')))\n"
        "import gateway.app, gateway.run.work, gateway.rails, gateway.run.settings.config, gateway.run.cli\n"
        f"config = gateway.run.settings.config.Config(demo=True, signing_key={KEY!r})\n"
        "print([rail.name for rail in gateway.rails.build_rails(config).every])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "['sandbox']"
