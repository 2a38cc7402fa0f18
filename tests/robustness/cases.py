"""A case is one bad input: a line of a table in these tests, and a line of docs/robustness.md."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


LONGEST_MESSAGE = 600  # characters: a message must not repeat an input of a megabyte


@dataclass(frozen=True)
class Case:
    """
    Args:
        tried: what is given, in words.
        call: gives it to the test's subjects.
        documented: what must come of it, in words.
        words: part of the error's message; `None`: no error.
        error: its class, exactly.
        holds: of the result and the subjects, whether it is what is documented; for calls without an error.
    """

    tried: str
    call: Callable[..., Any]
    documented: str
    words: str | None = None
    error: type[Exception] = ValueError
    holds: Callable[..., Any] | None = None

    def check(self, *subjects: Any) -> None:
        """Make the call and compare what comes of it with what is documented."""
        if self.words is None:
            assert self.holds(self.call(*subjects), *subjects)
            return
        with pytest.raises(self.error) as raised:
            self.call(*subjects)
        message = str(raised.value)
        assert type(raised.value) is self.error, type(raised.value)
        assert self.words in message, message
        assert len(message) <= LONGEST_MESSAGE, f"{len(message)} characters: {message[:200]}"
        assert not re.search(r"\b0x[0-9a-f]{6,}", message), f"an address in memory: {message}"


def refused(tried: str, call: Callable[..., Any], words: str, error: type[Exception] = ValueError) -> Case:
    """A case that must end in an `error` whose message contains `words`."""
    return Case(tried, call, f"{error.__name__}: …{words}…", words, error)


def works(tried: str, call: Callable[..., Any], documented: str, holds: Callable[..., Any]) -> Case:
    """A case that must give a result of which `holds(result, *subjects)`."""
    return Case(tried, call, documented, holds=holds)


def cases(table: list[Case]) -> pytest.MarkDecorator:
    """One test per line of `table`, in the argument `case`."""
    return pytest.mark.parametrize("case", table, ids=lambda case: case.tried)
