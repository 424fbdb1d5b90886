"""`giftwire token`: signs a token with the key of the data folder or of the configuration."""

from pathlib import Path
from typing import Any, get_args

import click

from gateway.auth import TTL_S_MAX, Tokens
from gateway.run.settings.options import Unusable, folder_options, keyed, loaded
from gateway.wire.messages import Role


@click.command()
@folder_options
@click.option("--role", type=click.Choice(get_args(Role)), required=True, help="What the token lets its bearer do.")
@click.option("--user", required=True, help="Who it is for; for an overlay the creator.")
@click.option("--room", help="The only room it is good for.")
@click.option("--name", help="The name that is shown.  [default: the user]")
@click.option("--level", type=click.IntRange(min=0), default=0, help="The gifter's level.  [default: 0]")
@click.option("--country", help="Where the buyer is (ISO 3166-1 alpha-2), whatever the client says.")
@click.option("--ttl", type=click.IntRange(1, TTL_S_MAX), default=3600, help="How many seconds.  [default: 3600]")
def token(
    file: Path | None,
    role: Role,
    user: str,
    room: str | None,
    name: str | None,
    level: int,
    country: str | None,
    ttl: int,
    **flags: Any,
) -> None:
    """Print a token, and nothing else. Whoever has it is that user until it ends."""
    key = keyed(loaded(file, flags).config).signing_key or ""
    try:
        click.echo(Tokens(key).mint(role, user, name=name, room=room, level=level, country=country, ttl_s=ttl))
    except ValueError as exc:
        raise Unusable(str(exc)) from exc
