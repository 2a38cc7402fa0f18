"""Threads: one processor and one model, used by eight at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image


THREADS = 8
SETTINGS = (  # of each thread's calls: the processor's and `generate`'s
    ({}, {}),
    ({"complementarity": "disjoint"}, {"keep_ratio": 0.5}),
    ({"adaptive_tiles": None}, {"keep_ratio": 0.3}),
    ({"detailed_tiles": (1, 2), "adaptive_tiles": (1, 3)}, {}),
)


def pictures(page: Image.Image) -> list[Image.Image]:
    """The page, and cuts of other shapes and brightness."""
    cuts = [page.crop((0, 0, page.width - 40 * n, page.height)) for n in range(4)]
    return cuts + [Image.fromarray(np.asarray(cut) // 2) for cut in cuts]


def answer(processor, model, picture, settings) -> tuple[torch.Tensor, list[int]]:
    """The pixels and the tokens of an answer, by the two calls of every user."""
    images, generation = settings
    content = [{"type": "image", "image": picture}, {"type": "text", "text": "Read the text."}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}], **images)
    tokens = model.generate(**inputs, max_new_tokens=12, **generation)
    return inputs["pixel_values"], tokens[0].tolist()


def test_threads_do_not_mix_answers(trained_processor, trained_model, page):
    """eight threads on one processor and one model: the pixels and tokens of each are those of a lone call"""
    given = [
        (picture, SETTINGS[number % len(SETTINGS)]) for number, picture in enumerate(pictures(page))
    ] * 2  # every one twice, at different times
    alone = [answer(trained_processor, trained_model, *each) for each in given[: len(given) // 2]] * 2
    assert len({tuple(tokens) for _, tokens in alone}) > 4  # mixing would show
    with ThreadPoolExecutor(THREADS) as threads:
        together = list(threads.map(lambda each: answer(trained_processor, trained_model, *each), given))
    for (pixels, tokens), (expected_pixels, expected_tokens) in zip(together, alone, strict=True):
        assert torch.equal(pixels, expected_pixels)
        assert tokens == expected_tokens


def test_threads_do_not_change_settings(trained_processor, page):
    """eight threads with settings of their own: the processor's stay as they were"""
    before = trained_processor.to_dict()
    with ThreadPoolExecutor(THREADS) as threads:
        sizes = list(
            threads.map(
                lambda n: len(trained_processor.image_processor(page, detailed_tiles=(n, n))["pixel_values"]),
                [1 + n % 4 for n in range(40)],
            )
        )
    assert trained_processor.to_dict() == before
    assert sizes == [
        len(trained_processor.image_processor(page, detailed_tiles=(n, n))["pixel_values"])
        for n in [1 + n % 4 for n in range(40)]
    ]
