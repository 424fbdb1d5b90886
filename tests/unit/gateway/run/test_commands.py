"""What the commands print and how they end, as far as no server is needed."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from gateway.auth import Tokens
from gateway.run.commands.audit_command import audit, showing_progress
from gateway.run.commands.config_command import config
from gateway.run.commands.migrate_command import migrate
from gateway.run.commands.reconcile_command import reconcile
from gateway.run.commands.token_command import token
from gateway.run.demo import DemoTokens
from gateway.run.page import ready_page
from gateway.run.settings.sources import load
from gateway.run.worker import worker
from ledger.audits.audit import Step
from ledger.config import Endpoints, write_endpoints

KEY = "k" * 40


def run(command: object, *words: str, **environment: str | None) -> Result:
    """Run a command as the shell would."""
    return CliRunner().invoke(command, words, env=environment)  # type: ignore[arg-type]


def test_token_of_a_folder(tmp_path: Path) -> None:
    """It is signed with the folder's key, which is made where there is none, and is all that is printed."""
    words = ("--role", "creator", "--user", "ada", "--ttl", "60", "--data-dir", str(tmp_path))
    result = run(token, *words)
    assert result.exit_code == 0
    key = (tmp_path / "secret.key").read_text().strip()
    identity = Tokens(key).verify(result.output.strip())
    assert (identity.user, identity.role, identity.name) == ("ada", "creator", "ada")


def test_token_of_the_configuration(tmp_path: Path) -> None:
    """Where a key is given it counts, and no folder is made."""
    words = ("--role", "overlay", "--user", "ada", "--room", "r", "--data-dir", str(tmp_path / "var"))
    result = run(token, *words, GIFTWIRE_SIGNING_KEY=KEY)
    assert Tokens(KEY).verify(result.output.strip()).room == "r"
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--role", "king", "--user", "a"), "'king' is not one of"),
        (("--role", "viewer", "--user", ""), "the user '' is no name: 1-64 of"),
        (("--role", "viewer", "--user", "a", "--room", "a b"), "the room 'a b' is no name: 1-64 of"),
        (("--role", "viewer", "--user", "a", "--country", "gb"), "the country 'gb' is no code"),
        (("--role", "viewer", "--user", "a", "--ttl", "0"), "0 is not in the range"),
    ],
)
def test_token_that_cannot_be(words: tuple[str, ...], fault: str) -> None:
    """The exit status is 2 and the reason is named."""
    result = run(token, *words, GIFTWIRE_SIGNING_KEY=KEY)
    assert result.exit_code == 2
    assert fault in result.output


def test_config_with_networks_that_are_none() -> None:
    """A list of networks is read at the start, and what is wrong with it is said."""
    result = run(config, "check", GIFTWIRE_ADMISSION_TRUSTED_PROXIES="10.0.0.1 10.0.0.0/99")
    assert result.exit_code == 2
    assert "admission.trusted_proxies: '10.0.0.0/99'" in result.output


@pytest.mark.parametrize(
    ("flag", "url", "fault"),
    [
        ("--redis-url", "nonsense", "redis_url: begins with none of redis://, rediss://, unix://"),
        ("--redis-url", "http://10.0.0.1:6379", "redis_url: begins with none of"),
        ("--redis-url", "redis://:hunter2@10.0.0.1:port/0", "redis_url: Port could not be cast"),
        ("--database-url", "10.0.0.1:5432", "database_url: begins with none of postgresql://, postgres://"),
        ("--database-url", "postgresql://giftwire:hunter2@10.0.0.1:99999/books", "database_url: Port out of range"),
    ],
)
@pytest.mark.parametrize("command", [config, migrate, worker, audit, reconcile])
def test_command_with_a_url_that_is_none(command: object, flag: str, url: str, fault: str) -> None:
    """It is a fault of the configuration, told without the URL, and not one of what is stored: status 2."""
    words = ("check",) if command is config else ()
    result = run(command, *words, **{"GIFTWIRE_" + flag[2:].replace("-", "_").upper(): url})
    assert result.exit_code == 2
    assert fault in result.output
    assert "hunter2" not in result.output


def test_config_with_several_hosts() -> None:
    """PostgreSQL may be named by more than one."""
    assert run(config, "check", GIFTWIRE_DATABASE_URL="postgresql://giftwire@db1:5432,db2:5432/books").exit_code == 0


def test_config_that_is_right() -> None:
    """The check says so and ends with 0."""
    result = run(config, "check", "--port", "1234")
    assert (result.exit_code, result.output) == (0, "the configuration is right\n")


def test_config_with_faults() -> None:
    """The check names every one and ends with 2."""
    result = run(config, "check", "--port", "70000", GIFTWIRE_NOTHING="1", GIFTWIRE_LEDGER_PARTITIONS="0")
    assert result.exit_code == 2
    assert "3 faults" in result.output
    assert all(place in result.output for place in ("--port", "GIFTWIRE_NOTHING", "GIFTWIRE_LEDGER_PARTITIONS"))


def test_config_that_is_shown() -> None:
    """Each setting stands with its value and where it comes from; a secret does not."""
    result = run(config, "show", "--port", "1234", GIFTWIRE_SIGNING_KEY=KEY)
    lines = {line.split()[0]: line.split()[1:] for line in result.output.splitlines() if line.strip()}
    assert lines["port"] == ["1234", "--port"]
    assert lines["signing_key"] == ["(hidden)", "GIFTWIRE_SIGNING_KEY"]
    assert lines["ledger.partitions"] == ["8", "default"]
    assert KEY not in result.output


@pytest.mark.parametrize("command", [migrate, worker])
def test_command_on_a_folder_that_nothing_serves(tmp_path: Path, command: object) -> None:
    """It ends with 2 and says what is missing."""
    result = run(command, "--data-dir", str(tmp_path))
    assert result.exit_code == 2
    assert "nothing serves from" in result.output
    assert "no --redis-url and no --database-url is given" in result.output


def test_command_on_a_folder_whose_serve_has_gone(tmp_path: Path) -> None:
    """It ends with 2 and says that PostgreSQL does not answer."""
    url = f"postgresql://giftwire@/giftwire?host={tmp_path}"
    write_endpoints(tmp_path, Endpoints(redis_url=f"unix://{tmp_path}/none", database_url=url))
    result = run(migrate, "--data-dir", str(tmp_path))
    assert result.exit_code == 2
    assert "PostgreSQL does not answer" in result.output


@pytest.mark.parametrize("terminal", [True, False])
def test_audit_shows_how_far_it_is(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal a bar with the step and how many there are; where the errors go into a file, nothing."""
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    with showing_progress() as told:
        told(Step("partition 3", 3, 8))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("3/8" in shown.err, "partition 3" in shown.err) == (terminal, terminal)


def test_page_of_the_demo(tmp_path: Path) -> None:
    """It tells where to look, where the data lives and how to stop; tokens stand behind the `#` of their links."""
    config = load({"demo": True, "data_dir": tmp_path, "port": 8123}, {}, None).config
    page = text_of(ready_page(config, DemoTokens("OVERLAY", "STUDIO"), ("Valkey", "PostgreSQL")))
    for part in (
        "http://127.0.0.1:8123/rooms/demo",
        "http://127.0.0.1:8123/overlay/demo#token=OVERLAY",
        "http://127.0.0.1:8123/studio#token=STUDIO",
        "http://127.0.0.1:8123/docs",
        str(tmp_path),
        "Valkey, PostgreSQL",
        "Ctrl-C",
    ):
        assert part in page
    assert "Whoever reaches" not in page


def test_page_names_the_program_so_that_it_can_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path, since a virtual environment need not be in PATH."""
    config = load({"demo": True, "data_dir": tmp_path}, {}, None).config
    monkeypatch.setattr("sys.argv", [str(tmp_path / "bin" / "giftwire"), "serve", "--demo"])
    page = text_of(ready_page(config, DemoTokens("a", "b"), ()))
    assert f"  {tmp_path}/bin/giftwire token --role operator --user you --data-dir {tmp_path}\n" in page


def test_page_of_a_demo_for_everybody(tmp_path: Path) -> None:
    """It warns of an address that others reach."""
    config = load({"demo": True, "data_dir": tmp_path, "host": "0.0.0.0"}, {}, None).config  # noqa: S104 - looked at, not bound
    assert "Whoever reaches 0.0.0.0" in text_of(ready_page(config, DemoTokens("a", "b"), ()))


def test_page_without_demo(tmp_path: Path) -> None:
    """It names neither pages of the demo nor tokens, and says whose the servers are."""
    config = load({"data_dir": tmp_path, "public_url": None}, {"GIFTWIRE_PUBLIC_URL": "https://gifts.example"}, None)
    page = text_of(ready_page(config.config, None, ()))
    assert "https://gifts.example/docs" in page
    assert "your own" in page
    assert "token=" not in page


def text_of(page: object) -> str:
    """The page as it is printed where nobody watches."""
    console = Console(width=400)
    with console.capture() as printed:
        console.print(page)
    return printed.get()
