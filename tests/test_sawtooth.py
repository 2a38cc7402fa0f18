"""The sawtooth benchmark's own arithmetic: views, cuts, inputs, statistics; what models read is no test."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.sawtooth import report
from benchmarks.sawtooth.compression import SELECTORS, Way, answer_pages, pool, selecting
from benchmarks.sawtooth.documents import KINDS, make_page
from benchmarks.sawtooth.methods import METHODS, View, grid_view, is_cut, overlap_view
from benchmarks.sawtooth.overview import verdict
from benchmarks.sawtooth.page import word_boxes
from benchmarks.sawtooth.reading import QUESTION, character_accuracy, make_inputs, read
from benchmarks.sawtooth.statistics import bootstrap, difference, mean, period
from benchmarks.sawtooth.steering import steer, tokens_on, words_of
from benchmarks.sawtooth.sweep import GRIDS, SCALES, SIZES, draw_word, held_out_words, positions, unfinished
from examples.minimonkey_tiny.evaluate import edit_distance
from examples.minimonkey_tiny.rendering import generator, is_held_out, render_pair
from modeling_minimonkey import MiniMonkeyForConditionalGeneration, scale_compression
from processing_minimonkey import MiniMonkeyProcessor, plan_pyramid


TILE = 112


@pytest.fixture(scope="module")
def checkpoint(repository):
    return repository / "checkpoints" / "minimonkey-tiny"


@pytest.fixture(scope="module")
def processor(checkpoint):
    return MiniMonkeyProcessor.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)) for size in ((224, 336), (100, 230), (60, 60))]


@pytest.mark.parametrize(
    "method, settings",
    [
        ("pyramid any", {}),
        ("pyramid all", {"complementarity": "all"}),
        ("pyramid disjoint", {"complementarity": "disjoint"}),
        ("pyramid joint", {"complementarity": "joint"}),
        ("detailed + global", {"adaptive_tiles": None}),
        ("global", {"detailed_tiles": (1, 1), "adaptive_tiles": None}),
    ],
)
def test_inputs_are_those_of_the_processor(processor, images, method, settings):
    views = [METHODS[method](*image.size, TILE, np.random.default_rng(0)) for image in images]
    ours = make_inputs(processor, images, views)
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    rows = {"text": [prompt] * 3, "images": [[image] for image in images]}
    theirs = processor(**rows, padding=True, return_tensors="pt", **settings)
    for name in ("input_ids", "attention_mask", "tile_levels"):
        assert torch.equal(ours[name], theirs[name]), name
    torch.testing.assert_close(ours["pixel_values"], theirs["pixel_values"], atol=1e-6, rtol=0)


def test_a_box_is_cut_unless_one_tile_holds_it_all():
    view = grid_view(0, (2, 1), TILE)
    assert not is_cut(view, (200, 100), (10, 10, 90, 90))
    assert not is_cut(view, (200, 100), (0, 0, 100, 100))  # up to the line
    assert is_cut(view, (200, 100), (90, 10, 110, 20))
    assert not is_cut(grid_view(2, (1, 1), TILE), (200, 100), (90, 10, 110, 20))
    assert is_cut(grid_view(0, (1, 2), TILE), (200, 100), (90, 40, 110, 60))


def test_views_cut_what_they_say(images):
    image = images[0]  # 336 x 224 px: resizing to the grid changes nothing
    pixels = np.asarray(image)
    tiles = grid_view(0, (3, 2), TILE).cut(image)
    assert np.array_equal(np.asarray(tiles[4]), pixels[112:224, 112:224])
    shifted = grid_view(1, (3, 2), TILE, (56, 56))
    assert len(shifted.boxes) == 12
    tiles = shifted.cut(image)
    assert np.array_equal(np.asarray(tiles[5]), pixels[56:168, 56:168])
    assert (np.asarray(tiles[0])[:56] == 128).all() and np.array_equal(
        np.asarray(tiles[0])[56:, 56:], pixels[:56, :56]
    )
    overlap = overlap_view((3, 2), TILE)
    assert overlap.canvas == (280, 196) and overlap.boxes[-1] == (168, 84, 280, 196)


@pytest.mark.parametrize("size", [(336, 224), (224, 336), (230, 220), (700, 90), (112, 112)])
def test_methods_cover_the_image_and_keep_their_budget(size):
    rng = np.random.default_rng(0)
    tiles = {name: sum(len(view.boxes) for view in views(*size, TILE, rng)) for name, views in METHODS.items()}
    plan = plan_pyramid(*size, tile_size=TILE, detailed_tiles=(1, 6), adaptive_tiles=(1, 4))
    assert tiles["pyramid any"] == plan.num_tiles
    assert tiles["detailed + global, tiles of the pyramid"] <= tiles["pyramid any"]
    for name, views in METHODS.items():
        for view in views(*size, TILE, rng):
            seen = np.zeros(view.canvas[::-1], bool)
            for left, top, right, bottom in view.boxes:
                seen[max(top, 0) : bottom, max(left, 0) : right] = True
            assert seen.all(), (name, view)


def test_aligned_grids_share_all_their_lines():
    views = METHODS["second grid aligned"](336, 224, TILE, np.random.default_rng(0))
    first, second = (view.canvas for view in views[:2])
    assert second != first and all(a % b == 0 for a, b in zip(first, second, strict=True))


def test_the_word_is_where_the_sweep_says():
    for grid in GRIDS:
        for scale in SCALES:
            for axis in "xy":
                for center in positions(grid, axis):
                    image, (left, top, right, bottom) = draw_word("reading", 24, grid, scale, TILE, center)
                    width, height = image.size
                    assert plan_pyramid(width, height, tile_size=TILE, detailed_tiles=(1, 6)).detailed == grid
                    assert (left + right) / 2 / width * grid[0] == pytest.approx(center[0], abs=0.01)
                    assert 0 <= left < right <= width and 0 <= top < bottom <= height
                    dark = np.argwhere(np.asarray(image.convert("L")) < 128)
                    assert dark[:, 1].min() >= left - 1 and dark[:, 1].max() <= right + 1


def test_words_of_the_sweep_are_held_out_and_different():
    for size, lengths in SIZES.items():
        words = held_out_words(30, lengths)
        assert len(set(words)) == 30 and all(is_held_out(word) and len(word) in lengths for word in words)
        _, (left, _, right, _) = draw_word("w" * max(lengths), size, (2, 2), (1.0, 1.0), TILE, (0.5, 0.5))
        assert right - left < 1.35 * TILE  # even of the widest letters; words of usual letters fit a tile


def test_a_sweep_goes_on_after_the_last_block(tmp_path):
    path = tmp_path / "sweep.csv"
    methods = ["global", "pyramid any"]
    assert unfinished(path, methods, 24) == [(method, grid) for grid in GRIDS for method in methods]
    path.write_text("method,columns,rows,size\npyramid any,3,2,24\nglobal,3,2,32\n")
    assert unfinished(path, methods, 24) == [
        (method, grid) for grid in GRIDS for method in methods if (method, grid) != ("pyramid any", (3, 2))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_word_boxes_hold_the_ink_of_their_words(kind):
    for index in range(KINDS.index(kind), 40, len(KINDS)):
        page = make_page(index, TILE)
        gray = np.asarray(page.image.convert("L"), float)
        ink = np.abs(gray - np.median(gray)) > 60
        inside, starts = np.zeros_like(ink), []
        for word, (left, top, right, bottom) in word_boxes(page):
            inside[max(0, int(top)) : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = True
            starts.append((round(top), left))
            assert is_held_out(word) and 0 <= left < right <= page.image.width + 4
        assert ink.sum() > 100 and (ink & inside).sum() > 0.9 * ink.sum()
        assert starts == sorted(starts)  # as the answer is read


def test_documents_look_as_their_names_say():
    receipt, table, sign = (make_page(1 + kind, TILE) for kind in range(3))
    assert all(len(row) == 2 and row[1].isdigit() for row in receipt.lines)
    assert len(table.lines) == 2 and len(table.lines[0]) == len(table.lines[1]) >= 2
    assert all(len(row) == 1 for row in sign.lines) and len(sign.lines) <= 2


@torch.no_grad()
def test_a_batch_reads_what_its_rows_read(checkpoint, processor):
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint).eval()
    drawn = [draw_word(word, 24, (2, 2), (1.0, 1.0), TILE, (0.5, 0.5))[0] for word in ("open", "sunday")]
    drawn[1] = drawn[1].crop((0, 0, 112, 112))  # fewer tiles, so that a row is padded
    views = [METHODS["pyramid any"](*image.size, TILE, np.random.default_rng(0)) for image in drawn]
    together = read(model.float(), processor, drawn, views)
    assert together == [read(model, processor, [image], [each])[0] for image, each in zip(drawn, views, strict=True)]


def test_edit_distance_and_accuracy():
    assert [edit_distance(*pair) for pair in (("", "ab"), ("kitten", "sitting"), ("same", "same"))] == [2, 3, 0]
    assert character_accuracy("abcd", "abxd") == 0.75 and character_accuracy("ab", "wxyz") == 0.0


def test_the_bootstrap_resamples_clusters():
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(50), 20)
    values = rng.normal(size=50)[clusters]  # all samples of a cluster are equal: 50 values, not 1,000
    estimate, low, high = bootstrap(clusters, mean(values))
    assert estimate == pytest.approx(values.mean())
    expected = 1.96 * values[::20].std() / np.sqrt(50)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15)


def test_a_difference_of_chosen_samples():
    values = np.array([1.0, 1.0, 0.0, 0.5])
    first, second = np.array([1, 1, 0, 0], bool), np.array([0, 0, 1, 1], bool)
    assert difference(values, first, second)(np.ones(4)) == 0.75
    assert np.isnan(difference(values, first, np.zeros(4, bool))(np.ones(4)))


def test_the_period_of_a_cosine_is_found():
    x = np.arange(0.5, 2.51, 0.125)
    wave = 0.7 - 0.2 * np.cos(2 * np.pi * x) + np.random.default_rng(0).normal(0, 0.02, len(x))
    assert period(x, wave, np.arange(0.5, 2.01, 0.05)) == pytest.approx(1.0, abs=0.051)


def test_what_lies_outside_of_the_canvas_is_gray():
    view = View(1, (20, 10), ((-5, -5, 15, 5),))
    tile = np.asarray(view.cut(Image.new("RGB", (20, 10), "red"))[0])
    assert (tile[:5] == 128).all() and (tile[5:, :5] == 128).all() and (tile[5:, 5:, 0] == 255).all()


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors_prefer_as_many_tokens_as_are_kept(name):
    torch.manual_seed(0)
    images = torch.tensor([0, *[1] * 32, 0, *[2] * 16, 0])  # an image of two detailed tiles, one of one
    scores = SELECTORS[name](torch.randn(len(images), 8), images, 0.25)
    kept = scale_compression.select_tokens(scores, images, 0.25)
    assert [int((kept & (images == image)).sum()) for image in (1, 2)] == [8, 4]
    if name == "evenly spaced":
        gaps = (kept & (images == 1)).nonzero()[:, 0].diff()
        assert gaps.min() >= 4 and gaps.max() <= 5
    if name == "pooled":
        tokens = (kept & (images == 2)).nonzero()[:, 0] - 34
        assert tokens.tolist() == [0, 2, 8, 10]  # upper left corners of a tile of four by four


def test_pooling_puts_the_mean_of_four_at_their_corner():
    features = torch.randn(2, 16, 3, generator=torch.Generator().manual_seed(0))
    pooled = pool(features, torch.tensor([0, 1]))
    for corner in (0, 2, 8, 10):
        torch.testing.assert_close(
            pooled[0, corner], features[0, [corner, corner + 1, corner + 4, corner + 5]].mean(0)
        )
    assert torch.equal(pooled[1], features[1])  # not a detailed tile


def test_another_selector_is_used_inside_its_block_alone():
    original = scale_compression.score_detailed_tokens
    with pytest.raises(KeyboardInterrupt), selecting(Way("random", 0.5)):
        assert scale_compression.score_detailed_tokens is not original
        raise KeyboardInterrupt
    assert scale_compression.score_detailed_tokens is original


def test_compressed_readings_count_their_tokens(checkpoint, processor):
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    pages = [make_page(0, TILE)]
    full = answer_pages(model, processor, Way("attention", 1.0), pages, None)
    half = answer_pages(model, processor, Way("attention", 0.5), pages, [full[0].answer])
    pooled = answer_pages(model, processor, Way("pooled", 0.25), pages, [full[0].answer])
    assert full[0].loyal and full[0].prompt_tokens > half[0].prompt_tokens > pooled[0].prompt_tokens
    dropped = full[0].prompt_tokens - half[0].prompt_tokens
    assert full[0].prompt_tokens - pooled[0].prompt_tokens == 1.5 * dropped
    assert half[0].kv_bytes == half[0].prompt_tokens * 2 * 4 * 4 * 64 * 4  # key and value, layers, heads, size, bytes


def test_the_report_says_what_the_readings_say(tmp_path, monkeypatch):
    header = "method,columns,rows,size,axis,position,word,answer,accuracy,exact,cut_detailed,cut_everywhere\n"
    rows = [
        f"pyramid any,3,2,24,x,{position},w{word},a,{1 - near * 0.5},{not near},{bool(near)},False"
        for word in range(4)
        for position, near in ((0.5, 0), (1.0, 1), (1.5, 0), (2.0, 1), (2.5, 0))
    ]
    (tmp_path / "sweep-some.csv").write_text(header + "\n".join(rows) + "\n")
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "REPORT", tmp_path / "RESULTS.md")
    report.main()
    text = (tmp_path / "RESULTS.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| pyramid any |")).split(" | ")
    # 20 readings, 3 of 5 exact; all in the centers, none at the borders; accuracy 1 and a half.
    assert row[1:5] == ["24", "20", "60.0 [60.0, 60.0]", "100.0 [100.0, 100.0]"]
    assert row[5:8] == ["0.0 [0.0, 0.0]", "100.0 [100.0, 100.0]", "50.0 [50.0, 50.0]"]
    assert row[9] == "0 |" and (tmp_path / "sweep-some.png").exists()


def test_the_report_sets_the_models_side_by_side(tmp_path, monkeypatch):
    header = "method,columns,rows,size,axis,position,word,answer,accuracy,exact,cut_detailed,cut_everywhere\n"
    # In the center, at the line
    accuracy = {"detailed + global": (1.0, 0.5), "pyramid any": (1.0, 0.75), "pyramid all": (0.5, 0.25)}
    accuracy["detailed + global, tiles of the pyramid"] = (1.0, 0.6)
    for name, add in (("6m-plain", 0.0), ("6m-control", 0.25), ("6m-pyramid", 0.5)):
        rows = [
            f'"{method}",2,2,24,{axis},{position},w{word},a,{min(1, value + add)},False,False,False'
            for method, values in accuracy.items()
            for position, value in zip((0.5, 1.0), values, strict=True)
            for word in range(4)
            for axis in "xy"
        ]
        (tmp_path / f"sweep-{name}.csv").write_text(header + "\n".join(rows) + "\n")
    words = [
        f"{method},{page},lines,w,{read},False,False,1.0"
        for method, reads in (("detailed + global", (True, False)), ("pyramid any", (True, True)))
        for page in range(3)
        for read in reads
    ]
    header = "method,page,kind,word,read,cut_detailed,cut_everywhere,page_accuracy\n"
    (tmp_path / "page-6m-plain.csv").write_text(header + "\n".join(words) + "\n")
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "REPORT", tmp_path / "RESULTS.md")
    report.main()
    text = (tmp_path / "RESULTS.md").read_text()
    short = dict(line[2:-2].split(" | ") for line in text.split("## In short")[1].split("## ")[0].splitlines()[6:-1])
    # Depths of 50, 25 and 0 in two directions; the pyramid's gain on lines is 25, 25 and 0
    sawtooth = "yes in 2, not shown in 1 of 3 readings; 0.0 to 50.0 points of character accuracy deep."
    assert short["Is there a sawtooth?"] == f"Lines between rows: {sawtooth} Lines between columns: {sawtooth}"
    assert short["Does CIP remove it without training?"] == "6m yes in 2 of 2."
    assert short["And in a model that is trained with CIP?"] == "6m not shown in 2 of 2."
    assert short["Is it better than one grid of as many tiles?"] == "Not read."
    assert short["Which complementarity is best?"] == "No model was read with `joint`."
    expected = "| 6m | plain tiling | 6 | 50.0 [50.0, 50.0] | 100.0 [100.0, 100.0] | 50.0 [50.0, 50.0] | – |"
    assert expected in text.split("## And on pages?")[1]
    assert (
        "| 6m | plain tiling | between rows | 24 | 8 | 50.0 [50.0, 50.0] | yes | 25.0 [25.0, 25.0] | "
        "25.0 [25.0, 25.0] | yes | "
        "12.5 [12.5, 12.5] |" in text
    )
    assert (
        "| 6m | plain tiling, as long | between columns | 24 | 8 | 25.0 [25.0, 25.0] | yes | 0.0 [0.0, 0.0] | " in text
    )
    assert (tmp_path / "overview.png").exists()
    # With CIP by the one, 1 and 1, without by the other, 1 and 0.75
    better = text.split("## Is a model that is trained with CIP the better one?")[1]
    read = "one word, lines between rows, 24 px | 8"
    assert f"| 6m | pyramid any | detailed + global | {read} | 12.5 [12.5, 12.5] | 25.0 [25.0, 25.0] |" in better
    # Read with plain tiling, 1 and 1 as well
    assert f"| 6m | only in training | detailed + global | {read} | 12.5 [12.5, 12.5] | 25.0 [25.0, 25.0] |" in better
    # As many tiles: 1 and 0.85
    budget = "detailed + global, tiles of the pyramid"
    assert f"| 6m | pyramid any | {budget} | {read} | 7.5 [7.5, 7.5] | 15.0 [15.0, 15.0] |" in better
    assert "| 6m-plain | pyramid all | -50.0 [-50.0, -50.0] | -50.0 [-50.0, -50.0] |" in text
    failed = text.split("## What did not work?")[1].split("## ")[0]
    assert "- 6m-plain, pyramid all: -37.5 [-37.5, -37.5]" in failed and "pyramid any" not in failed
    assert [verdict((0, low, high)) for low, high in ((-1, 1), (0.1, 1), (-2, -1))] == ["not shown", "yes", "reversed"]


def test_the_report_compares_at_equal_numbers_of_tokens(tmp_path, monkeypatch):
    names = "selector,keep_ratio,layer,positions,page,words,words_read,accuracy,exact,loyal,prompt_tokens,kv_bytes"
    ways = [("attention", 1.0, 8, True, 100), ("attention", 0.5, 6, True, 70), ("random", 0.5, 2, False, 70)]
    rows = [
        f"{name},{ratio},1,repack,{page},10,{read},0.5,False,{loyal},{tokens},{tokens * 10},0.1,0.1,a"
        for name, ratio, read, loyal, tokens in ways
        for page in range(3)
    ]
    header = names + ",first_token_seconds,full_seconds,answer\n"
    (tmp_path / "compression-some.csv").write_text(header + "\n".join(rows) + "\n")
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "REPORT", tmp_path / "RESULTS.md")
    report.main()
    text = (tmp_path / "RESULTS.md").read_text()
    assert (
        "| attention | 0.5 | 1 | repack | 3 | 60.0 [60.0, 60.0] | 50.0 [50.0, 50.0] | 100 | 70 | 70% | 1.00 |" in text
    )
    assert "| random | 0.5 | 1 | repack | 3 | 20.0 [20.0, 20.0] | 50.0 [50.0, 50.0] | 0 | 70 | 70% | 1.00 |" in text
    assert (tmp_path / "compression-some.png").exists()


class TestSteering:
    def test_words_and_their_boxes(self):
        page = render_pair(generator("steering", 1), held_out=True)
        (upper, first), (lower, second) = words_of(page)
        assert page.text in (upper, lower) and upper != lower
        assert upper + lower == "".join(character.text for character in page.characters)
        for left, top, right, bottom in (first, second):
            assert np.asarray(page.image.convert("L").crop((left, top, right, bottom))).std() > 10  # ink
        assert first[3] < second[1]

    def test_tokens_on_a_box(self):
        """Tokens of 28 px of a canvas of 2 x 1 tiles, which is twice as large as the image."""
        on = tokens_on(grid_view(0, (2, 1), TILE), (112, 56), (50, 15, 60, 27))
        assert on.nonzero()[0].tolist() == [4 + 3, 16 + 4]  # second row: last of tile 0, first of tile 1

    def test_kept_tokens_are_those_of_the_prompt(self, checkpoint, processor):
        model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
        rows = steer(model, processor, 3)
        assert len(rows) == 8 and {row.asked for row in rows} == {"upper", "lower"}
        assert rows[0].word == rows[4].other and rows[0].other == rows[4].word
        for row in rows:
            assert row.kept_all == pytest.approx(row.keep_ratio, abs=0.02)
            assert row.exact == (row.answer == row.word)
