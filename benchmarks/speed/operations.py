"""What a call computes, counted: the same every time, where times on a shared machine differ by several percent."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode


def count_operations(function: Callable[[], object]) -> dict[str, int]:
    """
    Call `function` twice.

    Returns:
        `dict`: `flops`, those of its products of matrices and its attention; `calls` of PyTorch's operators, with
        those that operators call.
    """
    with FlopCounterMode(display=False) as counter:
        function()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        function()
    return {"flops": counter.get_total_flops(), "calls": sum(event.count for event in profiler.key_averages())}
