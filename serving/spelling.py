"""The number that an id in a path or on the command line stands for."""

LARGEST = 2**63 - 1  # of an id in the database


def number_of(text: str) -> int | None:
    """None for what is no id: of each there is one spelling, so 007 and +7 are none."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST)):
        return None
    number = int(text)
    return number if str(number) == text and number <= LARGEST else None
