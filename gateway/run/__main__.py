"""`python -m gateway.run`: the same as `giftwire`."""

from gateway.run.cli import main

main()
