"""Images: what stands where an image should."""

import subprocess
import zlib
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from benchmarks.sawtooth.readers.reader import make_processor
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor
from tests.robustness.cases import cases, refused, works
from tests.robustness.test_damaged_files import chunks, from_chunks


@pytest.fixture(scope="module")
def image_processor() -> MiniMonkeyImageProcessor:
    return MiniMonkeyImageProcessor(size=8)


@pytest.fixture(scope="module")
def processor() -> MiniMonkeyProcessor:
    return make_processor()


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def closed() -> Image.Image:
    image = opened(encoded(NOISE))
    image.close()
    return image


def without_palette() -> bytes:
    return from_chunks([chunk for chunk in chunks(encoded(NOISE.quantize(16))) if chunk[0] != b"PLTE"])


def of_one_color(width: int, height: int) -> bytes:
    """A PNG of any size in bytes that are few."""
    lines = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join([*(lines.compress(row) for _ in range(height)), lines.flush()])
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    return from_chunks([(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")])


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
ARRAY = np.asarray(NOISE)
TENSOR = torch.tensor(ARRAY)
MIXTURE = "images[1] is a list, but images[0] is of type Image"


def has_tiles(output, *subjects) -> bool:
    return len(output["pixel_values"]) == sum(output["num_patches"]) > 0


def is_noise(output, image_processor) -> bool:
    return np.array_equal(output["pixel_values"], image_processor(NOISE)["pixel_values"])


@cases(
    [
        works("1 x 1 pixel", lambda p: p(Image.new("RGB", (1, 1))), "tiles", has_tiles),
        works("1 x 10,000 pixels", lambda p: p(Image.new("L", (1, 10_000))), "tiles", has_tiles),
        works("10,000 x 1 pixels", lambda p: p(Image.new("L", (10_000, 1))), "tiles", has_tiles),
        refused("0 x 5 pixels", lambda p: p(Image.new("RGB", (0, 5))), "it is empty, 0 x 5"),
        refused("an empty array", lambda p: p([NOISE, ARRAY[:0]]), "images[1] can't be used: it is empty"),
        refused("None", lambda p: p(None), "images must be a PIL image", TypeError),
        refused("None in a list", lambda p: p([NOISE, None]), "images[1]", TypeError),
        refused("a number", lambda p: p(3), "got int", TypeError),
        refused("an open file", lambda p: p(BytesIO(encoded(NOISE))), "got BytesIO", TypeError),
        refused("a dictionary", lambda p: p({"image": NOISE}), "got dict", TypeError),
        refused("a dictionary in a list", lambda p: p([{"image": NOISE}]), "images[0] must be", TypeError),
        refused("a set", lambda p: p({1, 2}), "got set", TypeError),
        refused("a generator", lambda p: p(NOISE for _ in range(3)), "(a list, if there are several)", TypeError),
        refused("a class", lambda p: p(Image.Image), "got type", TypeError),
        refused("an object", lambda p: p(object()), "got object", TypeError),
        refused("three levels of lists", lambda p: p([[[NOISE]]]), "images[0][0] must be", TypeError),
        refused("1,000 levels of lists", lambda p: p(deep(1000)), "images[0][0] must be", TypeError),
        refused("an image and a row", lambda p: p([NOISE, [NOISE]]), MIXTURE),
        refused("a row and an image", lambda p: p([[NOISE], NOISE]), "images[0] is a list, but images[1] is of"),
        refused("an image and a tuple", lambda p: p((NOISE, (NOISE,))), MIXTURE),
        refused("a row in a row", lambda p: p([[NOISE], [[NOISE]]]), "images[1][0] must be", TypeError),
        refused("None in a row", lambda p: p([[NOISE], [None]]), "images[1][0] must be", TypeError),
        works("tuples of rows", lambda p: p(((NOISE,), ())), "its tiles", is_noise),
        works("rows that are None", lambda p: p([None, [NOISE], None]), "its tiles", is_noise),
        works("no image", lambda p: p([]), "no tiles", lambda out, p: len(out["pixel_values"]) == 0),
        works(
            "rows without images", lambda p: p([[], None]), "no tiles", lambda out, p: len(out["pixel_values"]) == 0
        ),
        works(
            "the same image twice",
            lambda p: p([NOISE, NOISE]),
            "the same tiles twice",
            lambda out, p: np.array_equal(*np.split(out["pixel_values"], 2)),
        ),
    ]
)
def test_images(case, image_processor):
    case.check(image_processor)


def deep(levels: int) -> list:
    nested: list = [NOISE]
    for _ in range(levels):
        nested = [nested]
    return nested


@cases(
    [
        refused("half a PNG", lambda p: p(half(encoded(NOISE))), "can't be decoded"),
        refused("half a JPEG", lambda p: p(half(encoded(NOISE, "JPEG"))), "can't be decoded"),
        refused("half a GIF", lambda p: p(half(encoded(NOISE, "GIF"))), "can't be decoded"),
        refused("half a WEBP", lambda p: p(half(encoded(NOISE, "WEBP"))), "can't be"),
        refused("half a TIFF", lambda p: p(half(encoded(NOISE, "TIFF"))), "can't be"),
        refused("a palette PNG without its palette", lambda p: p(without_palette()), "can't be decoded"),
        refused("the same, opened before", lambda p: p(opened(without_palette())), "can't be decoded"),
        refused("a closed file", lambda p: p(closed()), "can't be decoded"),
        refused("text", lambda p: p(b"plain text"), "no image format"),
        refused("30,000 x 30,000 in 110 kB", lambda p: p(of_one_color(30_000, 30_000)), "decompression bomb"),
        refused("10,001 x 10,001 in 12 kB", lambda p: p(of_one_color(10_001, 10_001)), "`max_pixels` = 100000000"),
        works(
            "an animated GIF",
            lambda p: p(encoded(NOISE, "GIF", save_all=True, append_images=[NOISE.rotate(90)])),
            "tiles",
            has_tiles,
        ),
        works(
            "a TIFF of pages",
            lambda p: p(encoded(NOISE, "TIFF", save_all=True, append_images=[NOISE.rotate(90)])),
            "the first",
            is_noise,
        ),
        works("an icon of several sizes", lambda p: p(encoded(NOISE, "ICO")), "tiles", has_tiles),
        works("PPM", lambda p: p(encoded(NOISE, "PPM")), "its tiles", is_noise),
        works("BMP", lambda p: p(encoded(NOISE, "BMP")), "its tiles", is_noise),
    ]
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_files(case, image_processor):
    case.check(image_processor)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_pixels_of_files_are_not_kept(image_processor, kind):
    """eight images of 25 megapixels in one call: decoded one after the other, 0.1 GB and not 0.7 (WEBP: 2.3)"""
    images = image_processor.fetch_images([encoded(NOISE, kind)] * 2)
    first = image_processor(images)["pixel_values"]
    assert all(image.fp is not None for image in images)  # Pillow lets go of a file once it is decoded
    assert np.array_equal(image_processor(images)["pixel_values"], first)
    assert np.array_equal(image_processor([opened(encoded(NOISE, kind))] * 2)["pixel_values"], first)


def test_no_program_is_run(image_processor, monkeypatch):
    """EPS as bytes, and opened by the caller: refused, and Ghostscript is not run"""

    def run(*args, **kwargs):
        raise AssertionError("a program was run")

    for name in ("check_call", "Popen", "run", "call"):
        monkeypatch.setattr(subprocess, name, run)
    for image in (EPS, opened(EPS)):
        with pytest.raises(ValueError, match="no image format|another program") as caught:
            image_processor(image)
        assert "a program was run" not in str(caught.value)


def test_a_warning_that_is_an_error_is_refused(image_processor, monkeypatch):
    """An image of which Pillow warns, where warnings are errors: ValueError"""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with pytest.warns(Image.DecompressionBombWarning):
        assert has_tiles(image_processor(encoded(NOISE)))
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="bomb"):
            image_processor(encoded(NOISE))


ORDER = {"input_data_format": "channels_last"}


@cases(
    [
        refused("one dimension", lambda p: p(np.zeros(5, np.uint8)), "images must have 2 or 3 dimensions"),
        refused("no dimension", lambda p: p(np.array(5)), "images must have 2 or 3 dimensions"),
        refused("five dimensions", lambda p: p(np.zeros((1, 1, 4, 4, 3))), "images must have 2 or 3 dimensions"),
        refused(
            "five dimensions, torch", lambda p: p(torch.zeros(1, 1, 3, 4, 4)), "images must have 2 or 3 dimensions"
        ),
        refused("a stack in a list", lambda p: p([ARRAY, ARRAY[None]]), "images[1] must have 2 or 3 dimensions"),
        refused("an array of images", lambda p: p(array_of_images()), "of objects; give a list"),
        refused("an array of objects", lambda p: p(ARRAY.astype(object)), "its values must be numbers, got object"),
        refused("strings", lambda p: p(np.full((7, 8, 3), "a")), "its values must be numbers"),
        refused("complex numbers", lambda p: p(ARRAY.astype(complex)), "its values must be numbers, got complex128"),
        refused("times", lambda p: p(ARRAY.astype("datetime64[s]")), "its values must be numbers"),
        refused("two channels", lambda p: p(ARRAY[..., :2]), "1, 3 or 4 channels"),
        refused("five channels first", lambda p: p(np.zeros((5, 9, 9))), "1, 3 or 4 channels"),
        refused("3 x 80 x 3", lambda p: p(ARRAY[:3]), "`input_data_format`"),
        refused("the other layout", lambda p: p(ARRAY, input_data_format="channels_first"), "1, 3 or 4 channels"),
        refused("NaN", lambda p: p(np.full((7, 8, 3), np.nan)), "got nan to nan"),
        refused("infinity", lambda p: p(np.full((7, 8, 3), np.inf)), "got inf to inf"),
        refused("one NaN of many", lambda p: p(with_one(np.nan)), "got nan"),
        refused("one infinity of many, unscaled", lambda p: p(with_one(np.inf), do_rescale=False), "to inf"),
        refused("NaN in two dimensions", lambda p: p(with_one(np.nan)[..., 1], do_rescale=False), "got nan"),
        refused("-1", lambda p: p(ARRAY.astype(np.int16) - 1), "must be in 0..1 or 0..255, got -1"),
        refused("256", lambda p: p(ARRAY.astype(np.int64) + 1), "must be in 0..1 or 0..255"),
        refused("values around 0", lambda p: p(ARRAY / 127.5 - 1), "must be in 0..1 or 0..255"),
        refused("2**63", lambda p: p(np.full((7, 8, 3), 2**63, np.uint64)), "got 9223372036854775808"),
        refused("a float beyond float32", lambda p: p(np.full((7, 8), 1e300)), "must be in 0..1 or 0..255"),
        refused("32-bit values in mode I", lambda p: p(Image.new("I", (5, 5), 70_000)), "16-bit values"),
        refused(
            "a meta tensor", lambda p: p(TENSOR.to("meta")), "can't be read as an array: it is torch.uint8 on meta"
        ),
        refused("a sparse tensor", lambda p: p(TENSOR.float().to_sparse()), "layout torch.sparse_coo"),
        refused("a complex tensor", lambda p: p(TENSOR.to(torch.complex64)), "its values must be numbers"),
        refused("a quantized tensor", lambda p: p(quantized()), "its values"),
        refused("a nested tensor", lambda p: p(torch.nested.nested_tensor([TENSOR])), "is a nested tensor"),
        works("bool", lambda p: p(ARRAY > 100), "tiles", has_tiles),
        works("float16", lambda p: p(ARRAY.astype(np.float16)), "its tiles", is_noise),
        works("big-endian", lambda p: p(ARRAY.astype(">i4")), "its tiles", is_noise),
        works("float8 tensor", lambda p: p(torch.ones(3, 9, 9).to(torch.float8_e4m3fn)), "tiles", has_tiles),
        works("bfloat16 with a gradient", lambda p: p(TENSOR.bfloat16().requires_grad_()), "tiles", has_tiles),
        works("a tensor that is not contiguous", lambda p: p(TENSOR.permute(2, 0, 1)), "its tiles", is_noise),
        works("a tensor with a conjugate bit", lambda p: p(TENSOR.flip(0).flip(0)), "its tiles", is_noise),
        works("an array that can't be written", lambda p: p(read_only()), "its tiles", is_noise),
        works("a masked array", lambda p: p(np.ma.masked_array(ARRAY)), "its tiles", is_noise),
        works("a stack", lambda p: p(ARRAY[None]), "its tiles", is_noise),
        works(
            "a stack of none", lambda p: p(ARRAY[None][:0]), "no tiles", lambda out, p: len(out["pixel_values"]) == 0
        ),
    ]
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_arrays(case, image_processor):
    case.check(image_processor)


def array_of_images() -> np.ndarray:
    array = np.empty(2, dtype=object)
    array[:] = [NOISE, NOISE]
    return array


def with_one(value: float) -> np.ndarray:
    array = ARRAY / 255
    array[3, 4, 1] = value
    return array


def read_only() -> np.ndarray:
    array = ARRAY.copy()
    array.flags.writeable = False
    return array


def quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(TENSOR.float(), 1.0, 0, torch.quint8)


def turned(orientation: int, size: tuple[int, int]) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(NOISE.resize(size), exif=exif)


@pytest.mark.parametrize("size", [(500, 90), (91, 112), (110, 90), (16, 62), (40, 70)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_turned_images_have_as_many_tiles_as_upright_ones(image_processor, size, orientation):
    """An EXIF orientation that turns the image, beside others in one call: as many tiles as counted upright"""
    upright = size if orientation == 1 else size[::-1]
    settings = {"pyramid": "infovqa"}
    expected = image_processor.get_number_of_image_patches(*upright[::-1], settings)
    data = turned(orientation, size)
    output = image_processor([data, NOISE, data], **settings)
    assert output["num_patches"][0] == output["num_patches"][2] == expected
    assert len(output["pixel_values"]) == len(output["tile_levels"]) == sum(output["num_patches"])
    assert image_processor(data, max_tiles=expected, **settings)["num_patches"] == [expected]
    with pytest.raises(ValueError, match="max_tiles"):
        image_processor(data, max_tiles=expected - 1, **settings)


@cases(
    [
        refused("a generator of images", lambda p: p((NOISE for _ in "a"), p.image_token), "got generator", TypeError),
        refused("a dictionary", lambda p: p({"a": NOISE}, p.image_token), "got dict", TypeError),
        refused("an image and a row", lambda p: p([NOISE, [NOISE]], [p.image_token] * 2), MIXTURE),
        refused("None in a row", lambda p: p([[NOISE, None]], [p.image_token * 2]), "images[0][1] must be", TypeError),
        refused("a damaged image", lambda p: p(half(encoded(NOISE)), p.image_token), "can't be decoded"),
        refused(
            "the second of a batch", lambda p: p([[NOISE], [half(encoded(NOISE))]], [p.image_token] * 2), "Image 1"
        ),
        refused("a meta tensor", lambda p: p(TENSOR.to("meta"), p.image_token), "on meta"),
        refused("a sparse tensor in a row", lambda p: p([[TENSOR.float().to_sparse()]], [p.image_token]), "sparse"),
        refused("257 images", lambda p: p([NOISE] * 257, p.image_token * 257), "`max_images`"),
        refused("too many tiles", lambda p: p([NOISE] * 200, p.image_token * 200), "`max_tiles`"),
        refused("`do_rescale` = 'no'", lambda p: p(NOISE, p.image_token, do_rescale="no"), "`do_rescale` must be"),
        refused(
            "`images_kwargs` of another type", lambda p: p(NOISE, p.image_token, images_kwargs=3), "got int", TypeError
        ),
        works(
            "300 images, permitted",
            lambda p: p(
                [NOISE] * 300,
                p.image_token * 300,
                max_images=300,
                pyramid="pope",
                max_tiles=None,
                crop_to_patches=None,
            ),
            "tiles",
            lambda out, p: len(out["pixel_values"]) > 300,
        ),
        works(
            "tuples of rows",
            lambda p: p(((NOISE,), (NOISE,)), [p.image_token] * 2, padding=True),
            "tiles",
            lambda out, p: len(out["input_ids"]) == 2,
        ),
        works(
            "a tuple of images",
            lambda p: p((NOISE, NOISE), [p.image_token] * 2, padding=True),
            "tiles",
            lambda out, p: len(out["input_ids"]) == 2,
        ),
        works(
            "a stack",
            lambda p: p(np.stack([ARRAY, ARRAY]), [p.image_token] * 2, padding=True),
            "tiles",
            lambda out, p: len(out["input_ids"]) == 2,
        ),
        works(
            "gray arrays, unscaled",
            lambda p: p(ARRAY[..., 0] / 255, p.image_token, do_rescale=False),
            "tiles within 3",
            lambda out, p: np.abs(out["pixel_values"]).max() < 3,
        ),
        works(
            "no images and no placeholders",
            lambda p: p([], "text"),
            "no pixel values",
            lambda out, p: "pixel_values" not in out,
        ),
        works(
            "sizes to count",
            lambda p: p._get_num_multimodal_tokens([(30, 40)]),
            "numbers",
            lambda out, p: out.num_image_patches[0] > 1,
        ),
        refused("sizes of 0", lambda p: p._get_num_multimodal_tokens([(0, 40)]), "`height` must be at least 1"),
        refused(
            "sizes of one number", lambda p: p._get_num_multimodal_tokens([(3,)]), "must be a list of (height, width)"
        ),
        refused(
            "sizes that are floats",
            lambda p: p._get_num_multimodal_tokens([(30, 4.5)]),
            "`width` must be an",
            TypeError,
        ),
    ]
)
def test_processor(case, processor):
    case.check(processor)
