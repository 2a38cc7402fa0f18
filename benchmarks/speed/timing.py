"""Time functions side by side, so that what else the machine does falls on all of them alike."""

import gc
import statistics
import time
from collections.abc import Callable


def time_in_turns(
    functions: dict[str, Callable[[], object]],
    rounds: int,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """
    Call every function once per round, in turns.

    Args:
        functions (`dict[str, Callable]`): what to time, by name.
        rounds (`int`): how often.
        warm_up (`bool`, *optional*, defaults to `True`): one round more, before the others, that does not count.
        clock (`Callable`, *optional*): in seconds; `time.process_time` leaves out when other processes had the core.

    Returns:
        `dict[str, list[float]]`: the seconds of every round, by name.
    """
    seconds = {name: [] for name in functions}
    for round_number in range(0 if warm_up else 1, rounds + 1):
        # Turn the order around every time: a function must not always run in the wake of the same other one.
        order = list(functions) if round_number % 2 else list(reversed(functions))
        for name in order:
            gc.collect()
            start = clock()
            functions[name]()
            elapsed = clock() - start
            if round_number:
                seconds[name].append(elapsed)
    return seconds


def compare(functions: dict[str, Callable[[], object]], rounds: int, **settings) -> dict:
    """
    Time functions in turns, see `time_in_turns`; the first one is the base, and there are at least 2 rounds.

    Returns:
        `dict`: for each name the median in `seconds`, and in `ratio` the median and the quartiles of its time divided
        by that of the base in the same round.
    """
    seconds = time_in_turns(functions, rounds, **settings)
    base = next(iter(functions))
    ratios = {name: [a / b for a, b in zip(times, seconds[base], strict=True)] for name, times in seconds.items()}
    return {
        "rounds": rounds,
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "ratio": {
            name: dict(zip(("lower_quartile", "median", "upper_quartile"), statistics.quantiles(r, n=4), strict=True))
            for name, r in ratios.items()
            if name != base
        },
    }


def with_quartiles(ratio: dict[str, float], digits: int = 2) -> str:
    """A median with its quartiles in brackets, of what `compare` returns as the `ratio` of a function."""
    median, lower, upper = (f"{ratio[name]:.{digits}f}" for name in ("median", "lower_quartile", "upper_quartile"))
    return f"{median} ({lower} to {upper})"
