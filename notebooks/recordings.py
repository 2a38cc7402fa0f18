"""The recorded cases that 06 compares with: what the published code was given, and what it made of it."""

import torch

from tests.recorded import read_case


def read_truth(place, case: str) -> tuple[dict, dict]:
    """Inputs of a recorded case, and everything that was recorded of it."""
    arrays = read_case(place, case).items()
    truth = {name: torch.from_numpy(array) for name, array in arrays}
    inputs = {
        "input_ids": truth["input_ids"][None],
        "pixel_values": truth["pixel_values"],
    }
    return inputs, truth


def write(model, inputs: dict) -> list[int]:
    """The next 16 ids, greedily."""
    ids = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


def agree(ids: list[int], others: list[int]) -> int:
    """How many are equal, place by place."""
    return sum(a == b for a, b in zip(ids, others, strict=True))
