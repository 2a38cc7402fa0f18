"""Rendering, labels and scores behind the small checkpoint, and the checkpoint itself."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def checkpoint(repository):
    return repository / "checkpoints" / "minimonkey-tiny"


def test_a_page_follows_from_its_index():
    from examples.minimonkey_tiny.train_reader import render

    first, again, other = render("page", "train", 3), render("page", "train", 3), render("page", "train", 4)
    assert first.text == again.text and first.image.tobytes() == again.image.tobytes()
    assert first.text != other.text


def test_every_stage_sees_samples_of_its_own():
    from examples.minimonkey_tiny.train_reader import STAGES, PageDataset

    texts = [PageDataset(["page"], f"train {stage}", 1)[0].text for stage in STAGES]
    assert len(set(texts)) == len(STAGES)


def test_a_pair_asks_for_one_of_its_two_words():
    from examples.minimonkey_tiny.train_reader import Collator, make_processor, render

    for index in range(8):
        page = render("pair", "train", index)
        which = page.question.split()[2]
        drawn = "".join(character.text for character in page.characters)
        assert {"upper": drawn.startswith, "lower": drawn.endswith}[which](page.text) and drawn != page.text
    collator = Collator(make_processor())
    prompt = collator.processor.tokenizer.decode(collator([page])["input_ids"][0])
    assert page.question in prompt and "Read the text." not in prompt


def test_no_held_out_word_is_trained_on():
    from examples.minimonkey_tiny.rendering import is_held_out
    from examples.minimonkey_tiny.train_reader import render

    words = {split: [] for split in ("train", "test")}
    for split, found in words.items():
        for index in range(100):
            found += render("mixed", split, index).text.split()
    assert not any(is_held_out(word) for word in words["train"])
    assert all(is_held_out(word) for word in words["test"])
    assert not {word.lower() for word in words["train"]} & {word.lower() for word in words["test"]}


def test_dense_labels_say_where_a_character_stands():
    from examples.minimonkey_tiny.rendering import ALPHABET, dense_labels, draw_page, load_font

    page = draw_page(np.random.default_rng(0), [["ab"]], [(120, 30)], (224, 112), load_font("DejaVuSansMono", 24))
    letters, ordinals = dense_labels(page, (2, 1))
    assert letters.shape == ordinals.shape == (2, 64, 2)
    # DejaVu Sans Mono at 24 px advances 14.45 px: the centers are at x 127.2 and 141.7, 15.2 and 29.7 in tile 1
    row = 30 // 14
    assert letters[1, row * 8 + 15 // 14, (15 // 7) % 2] == ALPHABET.index("a") + 1
    assert letters[1, row * 8 + 29 // 14, (29 // 7) % 2] == ALPHABET.index("b") + 1
    assert (letters > 0).sum() == 2
    assert sorted(ordinals[letters > 0]) == [0, 1]
    assert (ordinals[letters == 0] == -100).all()


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("x", "x", 0)],
)
def test_edit_distance(first, second, distance):
    from examples.minimonkey_tiny.evaluate import edit_distance

    assert edit_distance(first, second) == edit_distance(second, first) == distance


def test_loss_is_on_the_answer_alone():
    from examples.minimonkey_tiny.train_reader import Collator, make_processor, render

    collator = Collator(make_processor())
    pages = [render("mixed", "train", index) for index in range(4)]
    batch = collator(pages)
    tokenizer = collator.processor.tokenizer
    for page, labels, ids in zip(pages, batch["labels"], batch["input_ids"], strict=True):
        assert tokenizer.decode(labels[labels != -100]) == page.text + "<|im_end|>"
        assert (labels == ids)[labels != -100].all()


def test_code_beside_the_weights_is_the_code_of_the_packages(checkpoint, repository):
    files = list(checkpoint.glob("*.py"))
    assert {file.name for file in files} >= {"modeling_minimonkey.py", "processing_minimonkey.py"}
    for file in files:
        (source,) = repository.glob(f"*_minimonkey/{file.name}")
        assert file.read_text() == source.read_text(), "run: python -m examples.minimonkey_tiny.export --code"


def test_checkpoint_reads_what_its_card_says(checkpoint):
    """A tenth of the words of evaluation.json; 50 words put the accuracy within a few points of the whole."""
    from transformers import AutoProcessor

    from examples.minimonkey_tiny.evaluate import read, score
    from examples.minimonkey_tiny.train_reader import render
    from modeling_minimonkey import MiniMonkeyForConditionalGeneration

    assert (checkpoint / "model.safetensors").stat().st_size <= 20e6
    evaluation = json.loads((checkpoint / "evaluation.json").read_text())
    card = (checkpoint / "README.md").read_text()
    for result in evaluation.values():
        assert f"| {result['n']} | {result['character_accuracy']:.3f} |" in card
    single = [evaluation[f"word {where}: pyramid"] for where in ("in a tile", "over tiles")]
    assert sum(result["n"] for result in single) == 500
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(checkpoint, trust_remote_code=True)
    words = [render("word", "test", index) for index in range(50)]
    accuracy = score(words, read(model, processor, words, {}, {}))["character_accuracy"]
    assert abs(accuracy - sum(result["n"] * result["character_accuracy"] for result in single) / 500) < 0.04


def test_ask_answers_and_counts(repository):
    output = subprocess.run(
        [sys.executable, "examples/ask.py", "examples/page.png", "Read the text.", "--keep-ratio", "0.5"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # 3 x 2 detailed and 2 x 2 adaptive tiles and the global one, 16 tokens each; half of 6 x 16 = 96 is dropped
    assert "detailed 3 x 2, adaptive 2 x 2, global 1 x 1: 11 tiles of 16 tokens" in output
    before, after = [
        int(word) for word in output.split("prompt")[1].split("\n")[0].replace(",", "").split() if word.isdigit()
    ]
    assert before - after == 48
    assert before > 11 * 16
    assert "open" in output.split("answer")[1].split("pyramid")[0]


def test_plot_shows_where_grids_coincide(repository):
    import matplotlib

    matplotlib.use("Agg")
    from PIL import Image

    from examples.minimonkey_tiny.train_reader import make_processor
    from processing_minimonkey.visualization import COLORS, plot_pyramid

    # 3 x 2 and 2 x 2: the horizontal middle line is in both, the vertical ones differ
    figure = plot_pyramid(make_processor(), Image.open(repository / "examples" / "page.png"))
    detailed, adaptive, whole = figure.axes
    assert [len(axis.lines) for axis in figure.axes] == [3, 2, 0]
    for axis in (detailed, adaptive):
        shared = [line for line in axis.lines if line.get_color() == COLORS["shared"]]
        assert len(shared) == 1 and set(shared[0].get_ydata()) == {111.5}
    assert "3 x 2 = 6 tiles" in detailed.get_title()
    matplotlib.pyplot.close(figure)


def test_readme_quotes_the_evaluation(repository, checkpoint):
    readme = (repository / "README.md").read_text()
    evaluation = json.loads((checkpoint / "evaluation.json").read_text())
    assert f"{evaluation['word in a tile: pyramid']['exact_match']:.3f} of 285 held-out words" in readme
    assert f"{evaluation['page: pyramid']['words_read']:.3f} of the words on 100" in readme
    assert f"{evaluation['page: detailed + global']['words_read']:.3f} without the second grid" in readme


def test_ask_prints_the_grids_of_the_upright_image(repository, tmp_path):
    from PIL import ExifTags, Image

    rotated = Image.open(repository / "examples" / "page.png").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
    rotated.save(tmp_path / "rotated.png", exif=exif)
    output = subprocess.run(
        [sys.executable, "examples/ask.py", str(tmp_path / "rotated.png")],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "detailed 3 x 2, adaptive 2 x 2" in output
