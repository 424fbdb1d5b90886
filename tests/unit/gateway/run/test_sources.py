"""Settings come from flags, environment, file and defaults in this order, and every fault is told at once."""

from pathlib import Path

import pytest

from gateway.run.settings.sources import SECRET_FILE_BYTES_MAX, ConfigFaults, load, settings, shown, variable_of


def test_load_from_all_sources(tmp_path: Path) -> None:
    """A flag is stronger than the environment, the environment than the file, the file than the default."""
    file = tmp_path / "giftwire.toml"
    file.write_text("port = 1\nworkers = 2\nhost = 'a'\n[ledger]\nmaturing_days = 3\n")
    environ = {"GIFTWIRE_PORT": "4", "GIFTWIRE_WORKERS": "5", "PATH": "/bin"}
    loaded = load({"port": 6, "host": None}, environ, file)
    config = loaded.config
    assert (config.port, config.workers, config.host, config.ledger.maturing_days) == (6, 5, "a", 3)
    assert config.log_level == "info"
    assert loaded.origins["port",] == "--port"
    assert loaded.origins["workers",] == "GIFTWIRE_WORKERS"
    assert loaded.origins["ledger", "maturing_days"] == f"{file}: ledger.maturing_days"


def test_load_with_many_faults(tmp_path: Path) -> None:
    """Unknown keys and wrong values of every source are named together, each with its place."""
    file = tmp_path / "giftwire.toml"
    file.write_text("prot = 1\nworkers = 'two'\n[ledger]\npartitions = 0\nlost = 1\n[legder]\nx = 1\n")
    environ = {"GIFTWIRE_PORT": "70000", "GIFTWIRE_NOTHING": "1", "GIFTWIRE_SIGNING_KEY_FILE": str(tmp_path / "none")}
    with pytest.raises(ConfigFaults) as caught:
        load({"log_level": "loud"}, environ, file)
    assert {fault.place for fault in caught.value.faults} == {
        f"{file}: prot",
        f"{file}: workers",
        f"{file}: ledger.partitions",
        f"{file}: ledger.lost",
        f"{file}: legder",
        "GIFTWIRE_PORT",
        "GIFTWIRE_NOTHING",
        "GIFTWIRE_SIGNING_KEY_FILE",
        "--log-level",
    }


def test_load_of_a_file_that_is_no_toml(tmp_path: Path) -> None:
    """The file is the place of the fault."""
    file = tmp_path / "giftwire.toml"
    file.write_text("port: 1")
    with pytest.raises(ConfigFaults) as caught:
        load({}, {"GIFTWIRE_CONFIG": str(file)}, None)
    assert [fault.place for fault in caught.value.faults] == [str(file)]


def test_load_of_a_secret_from_a_file(tmp_path: Path) -> None:
    """A variable that ends in _FILE names a file; spaces around its content do not count."""
    key = "k" * 32
    file = tmp_path / "key"
    file.write_text(key + "\n")
    assert load({}, {"GIFTWIRE_SIGNING_KEY_FILE": str(file)}, None).config.signing_key == key


@pytest.mark.parametrize(("size", "faults"), [(SECRET_FILE_BYTES_MAX, 1), (SECRET_FILE_BYTES_MAX + 1, 1)])
def test_load_of_a_secret_file_at_its_bound(tmp_path: Path, size: int, faults: int) -> None:
    """A file over the bound is not read whole; one at the bound is judged as the setting it is."""
    file = tmp_path / "key"
    file.write_text("k" * size)
    with pytest.raises(ConfigFaults) as caught:
        load({}, {"GIFTWIRE_SIGNING_KEY_FILE": str(file)}, None)
    assert len(caught.value.faults) == faults
    assert ("larger than" in caught.value.faults[0].message) == (size > SECRET_FILE_BYTES_MAX)


def test_load_of_a_variable_and_its_file(tmp_path: Path) -> None:
    """Both at once is a fault: nobody could say which one counts."""
    file = tmp_path / "key"
    file.write_text("k" * 32)
    with pytest.raises(ConfigFaults, match="sets the same"):
        load({}, {"GIFTWIRE_SIGNING_KEY": "s" * 32, "GIFTWIRE_SIGNING_KEY_FILE": str(file)}, None)


def test_load_of_every_setting_by_its_variable() -> None:
    """Each setting that has a default takes that default back as the text of its variable."""
    environ = {}
    for path, field in settings().items():
        if field.default is not None:
            environ[variable_of(path)] = str(field.default).lower() if field.type is bool else str(field.default)
    assert load({}, environ, None).config == load({}, {}, None).config


def test_demo_defaults() -> None:
    """The demo lets earnings mature at once, unless somebody says otherwise."""
    assert load({"demo": True}, {}, None).config.ledger.maturing_days == 0
    assert load({"demo": True}, {}, None).config.ledger.maturing_interval_ms == 1_000
    assert load({"demo": True}, {"GIFTWIRE_LEDGER_MATURING_DAYS": "2"}, None).config.ledger.maturing_days == 2
    assert load({}, {}, None).config.ledger.maturing_days == 7


def test_shown_secrets() -> None:
    """No secret is shown, wherever it comes from; that it is set, and from where, is."""
    secret = "s3cret" * 10
    environ = {"GIFTWIRE_SIGNING_KEY": secret, "GIFTWIRE_DATABASE_URL": f"postgresql://me:{secret}@host/db"}
    rows = shown(load({"redis_url": f"redis://:{secret}@host"}, environ, None))
    assert secret not in str(rows)
    assert ("signing_key", "(hidden)", "GIFTWIRE_SIGNING_KEY") in rows
    assert ("redis_url", "(hidden)", "--redis-url") in rows


def test_faults_of_secrets() -> None:
    """A secret that is wrong does not stand in the message about it."""
    with pytest.raises(ConfigFaults) as caught:
        load({}, {"GIFTWIRE_SIGNING_KEY": "tooshort"}, None)
    assert "tooshort" not in str(caught.value)
