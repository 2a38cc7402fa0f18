import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer

from benchmarks.sawtooth.readers.families import FAMILIES, family_model, family_processor, family_tokenizer
from processing_minimonkey import plan_pyramid
from processing_minimonkey.plug_in import CIPProcessor


TILE = 112
QUESTION = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


WIDE, TALL, SMALL = picture(430, 250, 1), picture(130, 330, 2), picture(100, 90, 3)


@pytest.fixture(params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture
def own(family):
    return family_processor(family)


@pytest.fixture
def processor(own):
    return CIPProcessor.from_processor(own, adaptive_tiles=(1, 4))


def inputs(processor, *samples):
    """Each sample is a list of images."""
    prompts = [
        processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}] * len(images) + [{"type": "text", "text": "Read."}]}],
            add_generation_prompt=True,
            tokenize=False,
        )
        for images in samples
    ]
    return processor(text=prompts, images=list(samples), padding=True, return_tensors="pt")


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def normalized(image: Image.Image) -> np.ndarray:
    return (np.asarray(image, dtype=np.float64) / 127.5 - 1).transpose(2, 0, 1)  # (3, height, width)


def tiles_of(image: Image.Image, grid, tile=TILE) -> list[np.ndarray]:
    """The naive way: stretch the image, crop the tiles row by row."""
    columns, rows = grid
    canvas = image.resize((columns * tile, rows * tile), Image.Resampling.BICUBIC)
    boxes = [(x * tile, y * tile, (x + 1) * tile, (y + 1) * tile) for y in range(rows) for x in range(columns)]
    return [normalized(canvas.crop(box)) for box in boxes]


class TestOff:
    def test_inputs_are_the_familys_own(self, own, processor):
        processor.adaptive_tiles = None
        assert_equal(inputs(own, [WIDE], [SMALL], [TALL]), inputs(processor, [WIDE], [SMALL], [TALL]))

    def test_an_image_that_is_not_cut_has_no_second_grid(self, own, processor):
        assert_equal(inputs(own, [SMALL]), inputs(processor, [SMALL]))

    def test_text_alone(self, own, processor):
        assert_equal(own(text=["a b"], return_tensors="pt"), processor(text=["a b"], return_tensors="pt"))

    def test_no_grid_within_the_range(self, own, processor):
        """One tile is the global view, which is there already."""
        processor.adaptive_tiles = (1, 1)
        assert_equal(inputs(own, [WIDE]), inputs(processor, [WIDE]))

    def test_the_original_is_left_alone(self, own):
        before = inputs(own, [WIDE])
        inputs(CIPProcessor.from_processor(own, adaptive_tiles=(1, 4)), [WIDE])
        assert_equal(before, inputs(own, [WIDE]))


class TestInternVL:
    @pytest.fixture
    def family(self):
        return "internvl"

    @pytest.mark.parametrize("image", [WIDE, TALL], ids=["wide", "tall"])
    def test_tiles_are_those_of_mini_monkey(self, own, processor, image):
        """Own tiles, second grid, thumbnail; the grids are those that Mini-Monkey chooses with the same ranges."""
        plan = plan_pyramid(*image.size, tile_size=TILE, detailed_tiles=(1, 6), adaptive_tiles=(1, 4))
        before, after = inputs(own, [image])["pixel_values"], inputs(processor, [image])["pixel_values"]
        second = plan.adaptive[0] * plan.adaptive[1]
        assert after.shape[0] == plan.num_tiles == before.shape[0] + second
        assert torch.equal(before, torch.cat([after[: -second - 1], after[-1:]]))
        np.testing.assert_allclose(after[-second - 1 : -1], tiles_of(image, plan.adaptive), atol=1e-5)

    def test_image_tokens(self, processor):
        encoded = inputs(processor, [WIDE], [TALL])
        number = (encoded["input_ids"] == processor.image_token_id).sum()
        assert number == 16 * encoded["pixel_values"].shape[0]
        for row in encoded["input_ids"]:
            where = (row == processor.image_token_id).nonzero().flatten()
            assert where[-1] - where[0] + 1 == len(where)  # one run

    def test_settings_of_the_call(self, processor):
        own_tiles = inputs(processor, [WIDE])["pixel_values"]
        fewer = processor(text="<IMG_CONTEXT>", images=WIDE, max_patches=2, return_tensors="pt")["pixel_values"]
        whole = processor(text="<IMG_CONTEXT>", images=WIDE, crop_to_patches=False, return_tensors="pt")
        assert fewer.shape[0] < own_tiles.shape[0]
        assert whole["pixel_values"].shape[0] == 1

    def test_counts_are_those_of_a_call(self, processor):
        processor.image_processor.crop_to_patches = False  # the family's processor says otherwise in every call
        few = {"max_patches": 2}
        for settings in ({}, few, {"images_kwargs": few}, {"crop_to_patches": False}):
            counted = processor._get_num_multimodal_tokens([WIDE.size[::-1]], **settings)
            made = processor(text="<IMG_CONTEXT>", images=WIDE, return_tensors="pt", **settings)
            assert counted["num_image_patches"] == [made["pixel_values"].shape[0]]

    def test_without_return_tensors(self, processor):
        listed = processor(text="<IMG_CONTEXT>", images=WIDE)["pixel_values"]
        stacked = processor(text="<IMG_CONTEXT>", images=WIDE, return_tensors="pt")["pixel_values"]
        np.testing.assert_array_equal(np.stack(listed), stacked)


class TestLlavaOnevision:
    @pytest.fixture
    def family(self):
        return "llava_onevision"

    def test_the_second_grid_is_a_second_image(self, own, processor):
        before, after = inputs(own, [WIDE]), inputs(processor, [WIDE])
        assert after["batch_num_images"].tolist() == [1, 1]
        number = before["pixel_values"].shape[1]
        assert torch.equal(before["pixel_values"][0], after["pixel_values"][0, :number])
        height, width = after["image_sizes"][1].tolist()
        grid = width // TILE, height // TILE
        assert (height, width) == (grid[1] * TILE, grid[0] * TILE) and 1 < grid[0] * grid[1] <= 4
        expected = tiles_of(WIDE, grid)
        # The family rounds to 8 bits between its two resizes, which change nothing here
        np.testing.assert_allclose(after["pixel_values"][1, 1 : 1 + len(expected)], expected, atol=1e-5)
        assert not after["pixel_values"][1, 1 + len(expected) :].any()  # padding

    def test_second_thumbnail_and_newlines_are_counted(self, own, processor):
        """64 features for its thumbnail, 64 for each tile, a newline for each row of patches."""
        before, after = inputs(own, [WIDE]), inputs(processor, [WIDE])
        rows, columns = (after["image_sizes"][1] // TILE).tolist()
        more = 64 + 64 * rows * columns + 8 * rows
        assert after["input_ids"].shape[1] - before["input_ids"].shape[1] == more

    def test_samples_of_several_images_stay_uncut(self, own, processor):
        assert_equal(inputs(own, [WIDE, TALL]), inputs(processor, [WIDE, TALL]))
        mixed = inputs(processor, [WIDE, TALL], [WIDE])
        assert mixed["batch_num_images"].tolist() == [2, 1, 1]

    def test_grids_come_from_the_pinpoints(self, processor):
        processor.image_processor.image_grid_pinpoints = [[TILE, 4 * TILE], [2 * TILE, 2 * TILE]]
        sizes = inputs(processor, [picture(440, 110)])["image_sizes"]
        assert sizes.tolist() == [[110, 440], [2 * TILE, 2 * TILE]]


class TestMiniCPMV:
    @pytest.fixture
    def family(self):
        return "minicpmv"

    def test_slices_follow_the_familys_own(self, own, processor):
        before, after = inputs(own, [WIDE], [TALL]), inputs(processor, [WIDE], [TALL])
        first = before["target_sizes"].prod(-1).cumsum(0) * 14  # columns after each slice
        own_slices = 1 + 6  # of the wide image: overview, 3 x 2
        second = len(after["target_sizes"]) - len(before["target_sizes"])
        assert second > 0
        columns = int(first[own_slices - 1])
        assert torch.equal(before["pixel_values"][..., :columns], after["pixel_values"][..., :columns])
        assert torch.equal(before["target_sizes"][:own_slices], after["target_sizes"][:own_slices])

    def test_slices_are_cut_by_the_second_grid(self, processor):
        """As the family cuts: the canvas keeps the image's shape, rounded to whole patches."""
        encoded = inputs(processor, [WIDE])
        rows, columns = 1, 2
        slices = encoded["target_sizes"][-rows * columns :]
        assert len(encoded["target_sizes"]) == 7 + rows * columns and (slices == slices[0]).all()
        height, width = (slices[0] * 14).tolist()
        canvas = WIDE.resize((columns * width, rows * height), Image.Resampling.BICUBIC)
        expected = []
        for y in range(rows):
            for x in range(columns):
                tile = normalized(canvas.crop((x * width, y * height, (x + 1) * width, (y + 1) * height)))
                patches = tile.reshape(3, height // 14, 14, width // 14, 14).transpose(0, 2, 1, 3, 4)
                expected.append(patches.reshape(3, 14, -1))
        expected = np.concatenate(expected, axis=-1)
        np.testing.assert_allclose(encoded["pixel_values"][0, ..., -expected.shape[-1] :], expected, atol=1e-5)

    def test_text(self, processor):
        """Overview, own rows, second rows: slices of a row stand side by side, rows on lines of their own."""
        text = processor.tokenizer.decode(inputs(processor, [WIDE])["input_ids"][0])
        shape = text.replace("<image>", "").replace("<slice></slice>", "s")
        assert "<image_id>0</image_id><im></im>sss\nsss\nss\nRead." in shape

    def test_downsampling_of_the_call(self, processor):
        text = processor.apply_chat_template(QUESTION, tokenize=False)
        few = processor(text=text, images=[WIDE], downsample_mode="16x")
        tokens = (few["input_ids"] == processor.image_token_id).sum()
        assert tokens == (few["target_sizes"].prod(-1) // 16).sum()


class TestAllFamilies:
    @pytest.fixture
    def model(self, family):
        torch.manual_seed(0)
        return family_model(family, "3m").eval()

    def test_batch_equals_single(self, family, processor, model):
        """Also: the model takes the inputs as they are, with as many image tokens as features."""
        batch = inputs(processor, [WIDE], [SMALL], [TALL])
        with torch.no_grad():
            together = model(**batch).logits[:, -1]
            alone = [model(**inputs(processor, [image])).logits[0, -1] for image in (WIDE, SMALL, TALL)]
        torch.testing.assert_close(together, torch.stack(alone), atol=2e-4, rtol=1e-3)

    def test_second_grid_changes_the_answer(self, own, processor, model):
        with torch.no_grad():
            first = model(**inputs(own, [WIDE])).logits[0, -1]
            second = model(**inputs(processor, [WIDE])).logits[0, -1]
        assert (first - second).abs().max() > 1e-3

    def test_complementarity(self, family, processor):
        """430 x 250 is cut 3 x 2; the same grid again is nearest, and ruled out by `disjoint`."""
        processor.adaptive_tiles, processor.complementarity = (2, 6), "none"
        same = inputs(processor, [WIDE])
        processor.complementarity = "disjoint"
        assert same["input_ids"].shape != inputs(processor, [WIDE])["input_ids"].shape
        processor.complementarity = "joint"
        assert processor._grid_beside(250, 430, (3, 2), {}) == (2, 1)

    def test_chat_template_uses_it(self, processor):
        messages = [{"role": "user", "content": [{"type": "image", "image": WIDE}, {"type": "text", "text": "Read."}]}]
        encoded = processor.apply_chat_template(
            messages,
            tokenize=True,
            return_dict=True,
            add_generation_prompt=True,
            processor_kwargs={"return_tensors": "pt"},
        )
        assert_equal(inputs(processor, [WIDE]), encoded)

    @pytest.mark.parametrize("kind", ["array", "tensor", "gray"])
    def test_kinds_of_images(self, processor, kind):
        expected = inputs(processor, [WIDE])
        image = np.array(WIDE)
        if kind == "tensor":
            image = torch.from_numpy(image).permute(2, 0, 1)
        elif kind == "gray":
            image = WIDE.convert("L")
            expected = inputs(processor, [image.convert("RGB")])
        assert_equal(expected, inputs(processor, [image]))

    def test_counting_tokens(self, family, processor):
        if family == "minicpmv":
            pytest.skip("the family has no `_get_num_multimodal_tokens`")
        counted = processor._get_num_multimodal_tokens([image.size[::-1] for image in (WIDE, SMALL, TALL)])
        tokens = [
            (inputs(processor, [image])["input_ids"] == processor.image_token_id).sum().item()
            for image in (WIDE, SMALL, TALL)
        ]
        frame = 2 if family == "internvl" else 0  # <img> and </img>
        assert counted["num_image_tokens"] == [number + frame for number in tokens]

    def test_save_and_load(self, family, own, processor, tmp_path, monkeypatch):
        processor.complementarity = "disjoint"
        attributes = ["image_processor", "tokenizer"]  # a video processor needs torchvision
        vars(processor).pop("video_processor", None)
        monkeypatch.setattr(type(processor), "get_attributes", classmethod(lambda cls: attributes))
        processor.save_pretrained(tmp_path)
        saved = json.loads((tmp_path / "processor_config.json").read_text())
        names = {"internvl": "InternVL", "llava_onevision": "LlavaOnevision", "minicpmv": "MiniCPMV4_6"}
        assert saved["processor_class"] == f"{names[family]}Processor"  # loads without this package
        assert len(AutoTokenizer.from_pretrained(tmp_path)) == len(family_tokenizer())
        # Transformers itself can't load these families where torchvision is missing
        monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda path, **kwargs: own)
        loaded = CIPProcessor.from_pretrained(tmp_path)
        assert type(loaded) is type(processor)
        assert (loaded.adaptive_tiles, loaded.complementarity) == ((1, 4), "disjoint")
        assert_equal(inputs(processor, [WIDE]), inputs(loaded, [WIDE]))
        off = CIPProcessor.from_pretrained(tmp_path, adaptive_tiles=None)
        assert off.adaptive_tiles is None and off.complementarity == "disjoint"


class TestErrors:
    def test_unknown_family(self):
        with pytest.raises(
            ValueError, match="one of InternVLProcessor, LlavaOnevisionProcessor, .*got TokenizersBackend"
        ):
            CIPProcessor.from_processor(family_tokenizer())

    @pytest.mark.parametrize(
        "settings, message",
        [
            ({"adaptive_tiles": (4, 1)}, r"`adaptive_tiles` must be \(fewest, most\)"),
            ({"complementarity": "some"}, "`complementarity` must be one of"),
        ],
    )
    def test_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            CIPProcessor.from_processor(family_processor("internvl"), **settings)
