import base64
import hashlib
import io
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from transformers import AutoImageProcessor

from processing_minimonkey import PYRAMID_SETTINGS, MiniMonkeyImageProcessor, plan_pyramid
from tests.recorded import PILLOW_RESIZES_AS_RECORDED, as_bytes, normalized, read_json


IMAGES = (
    "bilevel_300x420 blobs_1280x720 checker_333x1000 exif6_260x390 gray_500x500 la_410x200 noise_60x60 "
    "palette_900x300 rgba_640x480 tie58_250x400"
).split()
DEMO_ORDER = ("adaptive", "detailed", "global")
# Resized by Pillow 13, with which all were recorded, in part to other values than by the releases before it
RESIZED_OTHERWISE_BEFORE = {"blobs_1280x720", "checker_333x1000", "tie58_250x400"}


@pytest.fixture(scope="module")
def recorded(golden) -> dict:
    return read_json(golden / "pixels" / "pixels.json.gz")


def is_resized_otherwise(name: str) -> bool:
    return name in RESIZED_OTHERWISE_BEFORE and not PILLOW_RESIZES_AS_RECORDED


def skip_what_this_pillow_resizes_otherwise(name: str) -> None:
    if is_resized_otherwise(name):
        pytest.skip("recorded with Pillow 13, which resizes this image otherwise than the releases before it")


def ranges_of(recorded: dict, setting: str) -> dict:
    return {f"{group}_tiles": recorded["settings"][setting][group] for group in ("detailed", "adaptive")}


def assert_made_of(pixel_values: np.ndarray, tiles: list[str]) -> None:
    """The bytes of each tile have the recorded hash, and the values are those bytes normalized."""
    found = as_bytes(pixel_values)
    assert [hashlib.sha256(np.ascontiguousarray(tile)).hexdigest() for tile in found] == tiles
    assert pixel_values.dtype == np.float32
    assert np.abs(pixel_values - normalized(found)).max() < 1e-6


def color_of(image, **kwargs) -> list[int]:
    """The color that an image of one color comes out with, before normalization."""
    processor = MiniMonkeyImageProcessor(size=4, rescale_factor=1, do_normalize=False, **kwargs)
    pixels = processor(image)["pixel_values"]
    assert (pixels == pixels[:1, :, :1, :1]).all()
    return pixels[0, :, 0, 0].tolist()


def encoded(image: Image.Image, file_format: str = "PNG", **kwargs) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **kwargs)
    return buffer.getvalue()


# Equal to the published code.


@pytest.mark.parametrize("name", IMAGES)
def test_every_tile_equals_the_published_one(golden, recorded, name):
    assert set(IMAGES) == set(recorded["images"])
    skip_what_this_pillow_resizes_otherwise(name)
    entry = recorded["images"][name]
    processor = MiniMonkeyImageProcessor(published_preprocessing=True)
    with Image.open(golden / "pixels" / entry["file"]) as image:
        for setting, truth in entry["tile448"].items():
            order = DEMO_ORDER if setting == "demo" else processor.tile_order
            pixels = processor(image, tile_order=order, **ranges_of(recorded, setting))["pixel_values"]
            indices = truth["order_demo" if setting == "demo" else "order_eval"]
            assert_made_of(pixels, [truth["tiles"][index] for index in indices])


@pytest.mark.parametrize("name", [name for name in IMAGES if name not in ("exif6_260x390", "rgba_640x480")])
def test_default_differs_from_the_published_code_only_by_exif_and_alpha(golden, recorded, name):
    skip_what_this_pillow_resizes_otherwise(name)
    entry = recorded["images"][name]
    truth = entry["tile448"]["demo"]
    pixels = MiniMonkeyImageProcessor(allow_paths=golden)(golden / "pixels" / entry["file"])["pixel_values"]
    assert_made_of(pixels, [truth["tiles"][index] for index in truth["order_eval"]])


def test_small_tiles_equal_the_published_ones_value_by_value(golden, recorded):
    keys = [key for key in recorded["tile56"] if not is_resized_otherwise(key.split("|")[0])]
    assert {key.split("|")[0] for key in keys} >= set(IMAGES) - RESIZED_OTHERWISE_BEFORE
    for key in keys:
        name, setting, order = key.split("|")
        processor = MiniMonkeyImageProcessor(
            size={"height": 56, "width": 56},
            tile_order=DEMO_ORDER if order == "demo" else ("detailed", "adaptive", "global"),
            published_preprocessing=True,
            **ranges_of(recorded, setting),
        )
        output = processor(Image.open(golden / "pixels" / recorded["images"][name]["file"]))
        assert_made_of(output["pixel_values"], recorded["tile56"][key]["tiles"])


# Equal to the plain way.


sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))
ranges = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted).map(tuple)
orders = st.permutations(["detailed", "adaptive", "global"]).map(tuple)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(sizes, min_size=1, max_size=3), ranges, st.none() | ranges, orders, st.booleans(), st.booleans())
def test_tiles_are_those_of_one_resize_crop_and_formula_each(sizes, detailed, adaptive, order, rescale, normalize):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]
    arguments = {"detailed_tiles": detailed, "adaptive_tiles": adaptive}
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6])
    expected, levels, numbers = [], [], []
    for image in images:
        plan = plan_pyramid(*image.size, tile_size=5, **arguments)
        tiles = [tile for group in order for tile in plan.tiles if tile.group == group]
        for tile in tiles:
            crop = np.asarray(image.resize(plan.canvas_size(tile.group), Image.Resampling.BICUBIC).crop(tile.box))
            values = crop.astype(np.float64) / 255 if rescale else crop.astype(np.float64)
            expected.append(((values - mean) / std if normalize else values).transpose(2, 0, 1))
            levels.append(["detailed", "adaptive", "global"].index(tile.group))
        numbers.append(len(tiles))

    processor = MiniMonkeyImageProcessor(size=5, image_mean=mean.tolist(), image_std=std.tolist(), **arguments)
    output = processor(images, tile_order=order, do_rescale=rescale, do_normalize=normalize, return_tensors="pt")
    torch.testing.assert_close(
        output["pixel_values"], torch.tensor(np.array(expected), dtype=torch.float32), atol=2e-6, rtol=1e-6
    )
    assert output["tile_levels"].tolist() == levels
    assert output["tile_levels"].dtype == torch.int64
    assert output["num_patches"].tolist() == numbers
    counted = [processor.get_number_of_image_patches(height, width) for width, height in sizes]
    assert counted == numbers


def test_tiles_put_side_by_side_are_the_resized_image(make_image):
    image = make_image(70, 50)
    processor = MiniMonkeyImageProcessor(size=16, do_rescale=False, do_normalize=False)
    output = processor(image)
    plan = processor.get_pyramid_plan(image.height, image.width)
    for level, group in enumerate(("detailed", "adaptive", "global")):
        columns, rows = plan.grid(group)
        tiles = output["pixel_values"][output["tile_levels"] == level].reshape(rows, columns, 3, 16, 16)
        canvas = tiles.transpose(0, 3, 1, 4, 2).reshape(rows * 16, columns * 16, 3)
        np.testing.assert_array_equal(canvas, image.resize(plan.canvas_size(group), Image.Resampling.BICUBIC))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_any_size_gives_as_many_tiles_as_counted(width, height):
    if width * height > 4_000_000:  # larger ones only take longer
        width = max(1, 4_000_000 // height)
    processor = MiniMonkeyImageProcessor(size=2)
    output = processor(Image.new("L", (width, height)))
    assert len(output["pixel_values"]) == processor.get_number_of_image_patches(height, width) >= 1


# Kinds of images.


def with_alpha(mode: str) -> Image.Image:
    """Half transparent (alpha 51 of 255) gray 100; on white: 255 - (255 - 100) / 5 = 224."""
    if mode == "PA":
        image = Image.new("PA", (8, 6))
        image.putpalette([100] * 768)
        image.putalpha(51)
        return image
    if mode in ("La", "RGBa"):
        return with_alpha(mode.upper()).convert(mode)
    return Image.new(mode, (8, 6), (100,) * (len(mode) - 1) + (51,))


def palette_with_transparent_color() -> Image.Image:
    image = Image.new("P", (8, 6), 3)
    image.putpalette([100] * 768)
    image.info["transparency"] = 3
    return image


@pytest.mark.parametrize(
    "image, color",
    [
        (Image.new("RGB", (8, 6), (10, 20, 30)), [10, 20, 30]),
        (Image.new("RGBX", (8, 6), (10, 20, 30, 40)), [10, 20, 30]),
        (Image.new("L", (8, 6), 77), [77] * 3),
        (Image.new("1", (8, 6), 1), [255] * 3),
        (Image.new("P", (8, 6), 5).convert("RGB").quantize(4), [0, 0, 0]),
        (Image.new("CMYK", (8, 6), (255, 0, 0, 0)), [0, 255, 255]),
        (Image.new("YCbCr", (8, 6), (90, 128, 128)), [90] * 3),
        (Image.new("HSV", (8, 6), (0, 0, 66)), [66] * 3),
        (with_alpha("RGBA"), [224] * 3),
        (with_alpha("LA"), [224] * 3),
        (with_alpha("PA"), [224] * 3),
        (palette_with_transparent_color(), [255] * 3),
        (Image.new("I;16", (8, 6), 257 * 200), [200] * 3),
        (Image.fromarray(np.full((6, 8), 257 * 200, dtype=">u2")), [200] * 3),
        (Image.new("I", (8, 6), 257 * 200), [200] * 3),
        (Image.new("F", (8, 6), 0.2), [51] * 3),
        (Image.new("F", (8, 6), 200.0), [200] * 3),
        (np.full((6, 8), 9, dtype=np.uint8), [9] * 3),
        (np.full((6, 8, 1), 9, dtype=np.int64), [9] * 3),
        (np.full((3, 6, 8), 0.6, dtype=np.float32), [153] * 3),
        (np.full((6, 8, 3), 153.0), [153] * 3),
        (np.full((6, 8, 3), 257 * 200, dtype=np.uint16), [200] * 3),
        (np.full((6, 8, 3), True), [255] * 3),
        (np.broadcast_to(np.array([100, 100, 100, 51], dtype=np.uint8), (6, 8, 4)), [224] * 3),
        (np.ones((6, 8, 3), dtype=np.uint8), [1] * 3),
        (np.ones((6, 8, 3), dtype=np.float32), [255] * 3),
        (torch.full((3, 6, 8), 0.6, dtype=torch.bfloat16, requires_grad=True), [153] * 3),
        (torch.full((6, 8, 3), 9, dtype=torch.uint8).permute(2, 0, 1), [9] * 3),
    ],
    ids=lambda value: f"{value.mode}" if isinstance(value, Image.Image) else None,
)
def test_each_kind_of_image_has_its_rule(image, color):
    assert color_of(image) == color


@pytest.mark.parametrize(
    "image, color",
    [
        (with_alpha("La"), [224] * 3),
        (with_alpha("RGBa"), [224] * 3),
        (Image.new("LAB", (8, 6), (255, 128, 128)), [255] * 3),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_rules_of_modes_that_round(image, color):
    assert np.abs(np.subtract(color_of(image), color)).max() <= 1


@pytest.mark.parametrize("mode, color", [("RGBA", [100] * 3), ("LA", [100] * 3)])
def test_published_preprocessing_drops_alpha(mode, color):
    assert color_of(with_alpha(mode), published_preprocessing=True) == color


def test_channel_order_and_layout(make_image):
    image = make_image(9, 7)
    processor = MiniMonkeyImageProcessor(size=4)
    expected = processor(image)["pixel_values"]
    array = np.asarray(image)
    for same in (array, array.transpose(2, 0, 1), torch.tensor(array), array[::1].astype(np.float64)):
        np.testing.assert_array_equal(processor(same)["pixel_values"], expected)
    batch = np.stack([array, array])
    np.testing.assert_array_equal(processor(batch)["pixel_values"], np.concatenate([expected, expected]))


def test_ambiguous_layout_asks_for_it():
    processor = MiniMonkeyImageProcessor(size=4)
    array = np.random.default_rng(0).integers(0, 256, (3, 7, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="images .*input_data_format"):
        processor(array)
    last = processor(array, input_data_format="channels_last")["pixel_values"]
    np.testing.assert_array_equal(last, processor(Image.fromarray(array))["pixel_values"])
    first = processor(array, input_data_format="channels_first")["pixel_values"]
    np.testing.assert_array_equal(first, processor(Image.fromarray(array.transpose(1, 2, 0)))["pixel_values"])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_exif_orientation_is_that_of_the_turned_image(make_image, orientation, file_format):
    upright = make_image(12, 8)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    processor = MiniMonkeyImageProcessor(size=4)
    pixels = processor(encoded(stored, file_format, exif=exif))["pixel_values"]
    np.testing.assert_array_equal(pixels, processor(upright)["pixel_values"])


def test_sources_of_encoded_images(make_image, tmp_path):
    image = make_image(12, 8)
    data = encoded(image)
    path = tmp_path / "image.png"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    processor = MiniMonkeyImageProcessor(size=4, allow_paths=True)
    expected = processor(image)["pixel_values"]
    lines = base64.encodebytes(data).decode()
    for source in (data, path, str(path), text, lines, f"data:image/png;base64,{lines}", Image.open(path)):
        np.testing.assert_array_equal(processor(source)["pixel_values"], expected)
    rows = processor([[str(path)], [], [data, image]])
    np.testing.assert_array_equal(rows["pixel_values"], np.concatenate([expected] * 3))


def test_animated_images_give_the_frame_they_stand_at(make_image):
    first, second = make_image(12, 8, seed=1), make_image(12, 8, seed=2)
    data = encoded(first, "PNG", save_all=True, append_images=[second])
    processor = MiniMonkeyImageProcessor(size=4)
    np.testing.assert_array_equal(processor(data)["pixel_values"], processor(first)["pixel_values"])
    image = Image.open(io.BytesIO(data))
    image.seek(1)
    np.testing.assert_array_equal(processor(image)["pixel_values"], processor(second)["pixel_values"])
    assert image.tell() == 1


# Unusable images.


def damaged(data: bytes) -> bytes:
    return data[: len(data) // 2]


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def closed_image() -> Image.Image:
    image = Image.open(io.BytesIO(encoded(PHOTO)))
    image.close()
    return image


@pytest.mark.parametrize(
    "image, error, message",
    [
        (None, TypeError, r"images\[1\] must be a PIL image.*NoneType"),
        (3, TypeError, r"images\[1\] must be a PIL image.*int"),
        (np.zeros(5, dtype=np.uint8), ValueError, r"images\[1\] must have 2 or 3 dimensions.*\(5,\)"),
        (np.zeros((2, 2, 2, 3), dtype=np.uint8), ValueError, r"images\[1\] must have 2 or 3 dimensions"),
        (np.zeros((0, 5), dtype=np.uint8), ValueError, r"images\[1\].*empty"),
        (np.zeros((7, 0, 3), dtype=np.uint8), ValueError, r"images\[1\].*empty"),
        (Image.new("RGB", (0, 5)), ValueError, r"images\[1\].*0 x 5"),
        (np.zeros((7, 8, 2), dtype=np.uint8), ValueError, r"images\[1\].*1, 3 or 4 channels"),
        (np.full((7, 8, 3), np.nan), ValueError, "Image 1 .*nan"),
        (np.full((7, 8, 3), np.inf), ValueError, "Image 1 .*inf"),
        (np.full((7, 8, 3), -0.5), ValueError, "Image 1 .*-0.5"),
        (np.full((7, 8, 3), 256, dtype=np.int32), ValueError, "Image 1 .*256"),
        (np.full((7, 8), "a"), ValueError, r"images\[1\].*numbers"),
        (Image.new("I", (5, 5), 70_000), ValueError, "Image 1 .*70000"),
        (damaged(encoded(PHOTO, "PNG")), ValueError, "Image 1 .*truncated"),
        (damaged(encoded(PHOTO, "JPEG")), ValueError, "Image 1 .*truncated"),
        (closed_image(), ValueError, "Image 1 can't be used"),
        (b"plain text", ValueError, r"images\[1\] \(10 bytes\).* in no image format"),
        (b"", ValueError, r"images\[1\] \(0 bytes\).* empty"),
        ("no such file.png", ValueError, r"images\[1\] \(.no such file.png.\).*allow_paths"),
        ("", ValueError, r"images\[1\]"),
        ("file:///etc/passwd", ValueError, r"images\[1\].*no base64"),
        ("http://127.0.0.1:9/image.png", ValueError, r"images\[1\].*allow_urls"),
        ([PHOTO], ValueError, r"not a mixture.*images\[1\] is a list, but images\[0\] is of type Image"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_unusable_images_are_named(image, error, message):
    with pytest.raises(error, match=message) as caught:
        MiniMonkeyImageProcessor(size=4)([PHOTO, image])
    assert "0x" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_deeper_nesting_is_refused():
    with pytest.raises(TypeError, match=r"images\[0\]\[0\] must be .*list"):
        MiniMonkeyImageProcessor(size=4)([[[PHOTO]]])


def test_unreadable_text_file_is_named_without_its_content(tmp_path):
    path = tmp_path / "text.png"
    path.write_text("secret " * 1000)
    with pytest.raises(ValueError, match="no image format") as caught:
        MiniMonkeyImageProcessor(size=4, allow_paths=True)(str(path))
    assert "secret" not in str(caught.value)


def test_too_many_pixels_are_refused_before_decoding():
    image = Image.open(io.BytesIO(damaged(encoded(Image.new("L", (200, 100))))))
    with pytest.raises(ValueError, match="200 x 100 = 20000 pixels, more than `max_pixels` = 19999"):
        MiniMonkeyImageProcessor(size=4, max_pixels=19_999)(image)
    with pytest.raises(ValueError, match="max_pixels"):
        MiniMonkeyImageProcessor(size=4)(np.zeros((200, 100), dtype=np.uint8), max_pixels=19_999)
    assert len(MiniMonkeyImageProcessor(size=4, max_pixels=20_000)(Image.new("L", (200, 100)))["pixel_values"]) > 0


def test_decompression_bombs_are_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="bomb"):
        MiniMonkeyImageProcessor(size=4)(encoded(Image.new("L", (100, 100))))


# Settings.


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"detailed_tiles": (9, 4)}, ValueError, "`detailed_tiles` must .* got 9 > 4"),
        ({"detailed_tiles": (0, 4)}, ValueError, "`detailed_tiles` must .* got 0"),
        ({"adaptive_tiles": (1, 10**6)}, ValueError, "`adaptive_tiles` must .* got 1000000"),
        ({"adaptive_tiles": (1.0, 3)}, TypeError, "`adaptive_tiles` must .* got 1.0"),
        ({"adaptive_tiles": [True, 3]}, TypeError, "`adaptive_tiles` must .* got True"),
        ({"complementarity": "some"}, ValueError, "`complementarity` must .* got 'some'"),
        ({"tile_order": ("detailed", "global")}, ValueError, "`tile_order` must .* got"),
        ({"tile_order": ("detailed", "detailed", "global")}, ValueError, "`tile_order` must .* got"),
        ({"tile_order": "detailed"}, ValueError, "`tile_order` must .* got"),
        ({"size": {"height": 4, "width": 8}}, ValueError, "`size` must be a square"),
        ({"size": {"shortest_edge": 8}}, ValueError, "`size` must be a square"),
        ({"size": 0}, ValueError, "`size` must .* got 0"),
        ({"max_pixels": 0}, ValueError, "`max_pixels` must .* got 0"),
        ({"max_pixels": 1.5}, ValueError, "`max_pixels` must .* got 1.5"),
        ({"do_resize": False}, ValueError, "`do_resize` can only be True"),
        ({"do_convert_rgb": False}, ValueError, "`do_convert_rgb` can only be True"),
        ({"do_center_crop": True, "crop_size": 4}, ValueError, "`do_center_crop` can only be False"),
        ({"do_pad": True, "pad_size": 4}, ValueError, "`do_pad` can only be False"),
        ({"data_format": "channels_last"}, ValueError, "`data_format` can only be"),
        ({"image_seq_length": 4}, ValueError, "`image_seq_length` can only be None"),
        ({"image_std": [1.0, 0.0, 1.0]}, ValueError, "`image_std` must be above 0"),
        ({"image_mean": [1.0, 0.0]}, ValueError, "`image_mean` must be a number or three"),
        ({"rescale_factor": 0.0}, ValueError, "`rescale_factor` must be above 0"),
        ({"pyramid": "docvq"}, ValueError, "`pyramid` must be one of .*'docvqa'.* got 'docvq'"),
        ({"pyramid": "docvqa", "adaptive_tiles": (1, 3)}, ValueError, "already sets `adaptive_tiles`"),
        ({"crop_to_patches": 1}, ValueError, "`crop_to_patches` must be True or False, got 1"),
        ({"crop_to_patches": False, "adaptive_tiles": (1, 3)}, ValueError, "= False already sets `adaptive_tiles`"),
        ({"crop_to_patches": False, "pyramid": "demo"}, ValueError, "= False already sets `adaptive_tiles`, `detail"),
        ({"size": None}, ValueError, "size"),
        ({"resample": None}, ValueError, "`resample` must be one of Pillow's filters, .* got None"),
        ({"rescale_factor": None}, ValueError, "`rescale_factor` must be above 0 and finite, got None"),
        ({"image_mean": None}, ValueError, "`image_mean` must be a number or three numbers, got None"),
        ({"detailed_tile": (4, 12)}, TypeError, "no argument `detailed_tile`. Did you mean `detailed_tiles`"),
        ({"max_patchs": 12}, TypeError, "no argument `max_patchs`"),
    ],
    ids=str,
)
def test_wrong_settings_are_named_at_construction_and_per_call(arguments, error, message):
    with pytest.raises(error, match=message):
        MiniMonkeyImageProcessor(**arguments)
    with pytest.raises(error, match=message):
        MiniMonkeyImageProcessor()(PHOTO, **arguments)


def test_settings_per_call_override_and_do_not_stay():
    processor = MiniMonkeyImageProcessor(size=4)
    before = processor.to_json_string()
    plan = plan_pyramid(60, 40, tile_size=4, **PYRAMID_SETTINGS["ocrbench"])
    by_name = processor(PHOTO, pyramid="ocrbench")
    assert len(by_name["pixel_values"]) == plan.num_tiles != len(processor(PHOTO)["pixel_values"])
    by_values = processor(PHOTO, **PYRAMID_SETTINGS["ocrbench"])
    np.testing.assert_array_equal(by_name["pixel_values"], by_values["pixel_values"])
    assert processor.get_pyramid_plan(40, 60, {"pyramid": "ocrbench"}) == plan
    grids = {name: PYRAMID_SETTINGS["ocrbench"][name] for name in ("detailed_tiles", "adaptive_tiles")}
    own = {"complementarity": "joint"}
    assert processor.get_pyramid_plan(40, 60, {"pyramid": "ocrbench", **own}) == processor.get_pyramid_plan(
        40, 60, grids | own
    )
    assert processor.get_pyramid_plan(40, 60, grids | own) != plan
    without = processor(PHOTO, adaptive_tiles=None)
    assert sorted(set(without["tile_levels"].tolist())) == [0, 2]
    assert processor.to_json_string() == before


def test_crop_to_patches_is_that_of_internvl(make_image):
    """`True` is what trainers pass to every tile-based model, with rows of images, to count the tiles of each."""
    processor = MiniMonkeyImageProcessor(size=8)
    rows = [[make_image(40, 30)], None, [make_image(20, 90), make_image(8, 8)]]
    plain, cut = (processor(images=rows, return_tensors="pt", **more) for more in ({}, {"crop_to_patches": True}))
    assert torch.equal(plain["pixel_values"], cut["pixel_values"])
    assert cut["num_patches"].tolist() == [
        len(processor(image)["pixel_values"]) for row in rows for image in row or ()
    ]
    whole = processor(images=rows, crop_to_patches=False)
    assert whole["num_patches"] == [1, 1, 1]
    np.testing.assert_array_equal(whole["pixel_values"], plain["pixel_values"][plain["tile_levels"] == 2])
    assert processor.get_number_of_image_patches(30, 40, {"crop_to_patches": True}) == plain["num_patches"][0] > 1
    assert processor.get_number_of_image_patches(30, 40, {"crop_to_patches": False}) == 1
    built = MiniMonkeyImageProcessor(size=8, crop_to_patches=False)
    assert (built.detailed_tiles, built.adaptive_tiles) == ((1, 1), None)
    assert "crop_to_patches" not in built.to_dict()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"pyramid": "train", "tile_order": DEMO_ORDER, "size": 16, "published_preprocessing": True},
        {"adaptive_tiles": None, "max_pixels": None, "detailed_tiles": [1, 6], "complementarity": "disjoint"},
        {"image_mean": 0.5, "image_std": [0.5, 0.25, 1.0], "do_rescale": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("load", [MiniMonkeyImageProcessor.from_pretrained, AutoImageProcessor.from_pretrained])
def test_saved_and_loaded_it_is_the_same(tmp_path, arguments, load):
    processor = MiniMonkeyImageProcessor(**arguments)
    for name in ("adaptive_tiles", "max_pixels"):  # None is a value, not "take the default"
        assert (getattr(processor, name) is None) == (arguments.get(name, "default") is None)
    processor.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is MiniMonkeyImageProcessor
    assert loaded.to_dict() == processor.to_dict()
    assert (loaded.adaptive_tiles, loaded.max_pixels) == (processor.adaptive_tiles, processor.max_pixels)
    for name in ("pixel_values", "tile_levels"):
        np.testing.assert_array_equal(loaded(PHOTO)[name], processor(PHOTO)[name])


def test_arguments_at_loading_override_the_saved_ones(tmp_path):
    MiniMonkeyImageProcessor(size=8).save_pretrained(tmp_path)
    loaded = MiniMonkeyImageProcessor.from_pretrained(tmp_path, adaptive_tiles=None, detailed_tiles=(2, 2))
    assert (loaded.size.height, loaded.detailed_tiles, loaded.adaptive_tiles) == (8, (2, 2), None)


def test_saved_settings_of_another_class_are_refused(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"crop_to_patches": true, "max_patches": 12}')
    with pytest.raises(TypeError, match="no argument `max_patches`"):
        MiniMonkeyImageProcessor.from_pretrained(tmp_path)


def test_images_are_left_as_they_are(make_image):
    images = [make_image(12, 8), make_image(12, 8, mode="RGBA"), np.zeros((8, 12, 3), dtype=np.float32)]
    copies = [image.copy() for image in images]
    processor = MiniMonkeyImageProcessor(size=4)
    once, twice = processor([images[0], images[0]]), processor(images[0])
    np.testing.assert_array_equal(once["pixel_values"], np.concatenate([twice["pixel_values"]] * 2))
    processor(images)
    assert images[:2] == copies[:2]
    np.testing.assert_array_equal(images[2], copies[2])


def test_threads_can_share_a_processor(make_image):
    processor = MiniMonkeyImageProcessor(size=8)
    images = [make_image(30 + 7 * index, 40, seed=index) for index in range(6)]
    expected = [processor(image, pyramid="mme" if index % 2 else "demo") for index, image in enumerate(images)]
    results: dict[int, list] = {index: [] for index in range(len(images))}

    def work(index):
        for _ in range(20):
            results[index].append(processor(images[index], pyramid="mme" if index % 2 else "demo"))

    threads = [threading.Thread(target=work, args=(index,)) for index in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, outputs in results.items():
        assert len(outputs) == 20
        for output in outputs:
            np.testing.assert_array_equal(output["pixel_values"], expected[index]["pixel_values"])


def test_no_images_give_no_tiles():
    output = MiniMonkeyImageProcessor(size=4)([])
    assert output["pixel_values"].shape == (0, 3, 4, 4)
    assert output["tile_levels"].shape == (0,)
