"""Scores of a reader of sheets: by hand, and of one that knows everything."""

import pytest

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES
from benchmarks.sawtooth.measurements.reading import Reader
from benchmarks.sawtooth.readers import sheet_evaluation
from benchmarks.sawtooth.readers.evaluate import read
from benchmarks.sawtooth.readers.sheet_evaluation import VARIANTS, evaluate, pages, score, shared_words, values


def test_words_count_as_often_as_they_stand_in_both():
    assert shared_words("a b a c", "a a a b") == 3
    sheets = pages("plain", 2)
    first, second = (sheet.questions[0].answer for sheet in sheets)
    scores = score(sheets, [first, ""])
    lengths = [len(first.split()), len(second.split())]
    assert scores["words_f1"][0] == pytest.approx(2 * lengths[0] / (2 * lengths[0] + lengths[1]), abs=1e-4)
    assert scores["character_accuracy"][0] == pytest.approx(len(first) / (len(first) + len(second)), abs=1e-4)
    assert scores["exact_match"] == [0.5, 0.0, 1.0] and scores["n"] == 2
    with pytest.raises(ValueError, match="`texts` must be one for each page"):
        score(sheets, [first])


def test_values_are_asked_for_by_their_keys():
    for sheet in values("ascii", 6):
        (question,) = sheet.questions
        key, value = sheet.rows[question.line]
        assert question.text.endswith(f"beside {key.rstrip(':')}.") and question.answer == value


def test_every_variant_reaches_the_model_and_leaves_no_trace(monkeypatch, trained_model, trained_processor):
    config, seen = trained_model.config.scale_compression_config, []
    before = config.to_dict()

    def everything(reader, sheets, method, batch_size, max_new_tokens, keep_ratio):
        seen.append((method, config.queries, config.positions, keep_ratio))
        return [sheet.questions[0].answer for sheet in sheets]

    monkeypatch.setattr(sheet_evaluation, "answers", everything)
    results = evaluate(Reader(trained_model, trained_processor), "plain", 3)
    assert len(results) == 2 * len(VARIANTS) and all(each["words_f1"][0] == 1 for each in results.values())
    assert seen[: len(VARIANTS)] == [
        ("pyramid any", "question", "keep", 1.0),
        ("pyramid any", "question", "keep", 0.5),
        ("pyramid any", "question", "keep", 0.25),
        ("pyramid any", "none", "repack", 0.5),
        ("pyramid any", "none", "repack", 0.25),
    ]
    assert config.to_dict() == before


def test_answers_are_those_of_the_model_and_its_processor(trained_model, trained_processor):
    sheets = pages("plain", 3)
    texts = sheet_evaluation.answers(
        Reader(trained_model, trained_processor), sheets, "pyramid any", 3, 80, keep_ratio=0.5
    )
    ranges = {"detailed_tiles": PUBLISHED_RANGES.detailed, "adaptive_tiles": PUBLISHED_RANGES.adaptive}
    assert texts == read(trained_model, trained_processor, sheets, ranges, {"keep_ratio": 0.5})
    assert all(texts)
