"""What is called, how often and in which order; the times themselves are no tests."""

import pytest

from benchmarks.speed.timing import compare


@pytest.mark.parametrize(("warm_up", "calls"), [(True, "ba ab ba"), (False, "ab ba")])
def test_functions_run_in_turns(warm_up, calls):
    called = []
    result = compare({name: lambda name=name: called.append(name) for name in "ab"}, rounds=2, warm_up=warm_up)
    assert "".join(called) == calls.replace(" ", "")
    assert result["rounds"] == 2 and set(result["seconds"]) == {"a", "b"} and set(result["ratio"]) == {"b"}
