"""What is wrong with a catalogue, told all at once: whoever edits the files sees every fault in one run."""

from msgspec import Struct


class Fault(Struct, frozen=True, order=True):
    """One fault.

    Attributes:
        file: name of the file, such as `gifts.toml`.
        key: where in the file, such as `gift[3].price_coins`; empty when the whole file is at fault.
        message: what is wrong.
    """

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place}: {self.message}"


class CatalogInvalid(Exception):
    """The catalogue cannot be used.

    Attributes:
        faults: all of them; never empty.
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)
