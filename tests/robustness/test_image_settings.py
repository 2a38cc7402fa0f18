"""Image settings: values that are none, and limits."""

import resource
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from transformers import AutoProcessor

from benchmarks.sawtooth.readers.reader import make_processor
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor, plan_pyramid
from tests.robustness.cases import cases, refused, works


PAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
FINITE = "not finite in float32"


def construct(settings: dict) -> None:
    MiniMonkeyImageProcessor(**settings)


def call(settings: dict) -> None:
    MiniMonkeyImageProcessor(size=8)(PAGE, **settings)


def count(settings: dict) -> None:
    MiniMonkeyImageProcessor(size=8).get_number_of_image_patches(30, 40, settings)


def call_processor(settings: dict) -> None:
    processor = make_processor()
    processor(images=PAGE, text=processor.image_token, images_kwargs=settings)


WAYS = [construct, call, count, call_processor]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.__name__)
def give(request):
    return request.param


def setting(name: str, value, words: str, error: type[Exception] = ValueError, shown: str | None = None):
    return refused(f"`{name}` = {shown or repr(value)}", lambda give: give({name: value}), words, error)


@cases(
    [
        setting("do_rescale", "no", "`do_rescale` must be True or False, got 'no'"),
        setting("do_rescale", 1, "`do_rescale` must be True or False, got 1"),
        setting("do_rescale", None, "`do_rescale` must be True or False, got None"),
        setting("do_normalize", "false", "`do_normalize` must be True or False"),
        setting("published_preprocessing", "no", "`published_preprocessing` must be True or False"),
        setting("do_resize", 1, "`do_resize` can only be True"),
        setting("do_convert_rgb", None, "`do_convert_rgb` can only be True"),
        setting("rescale_factor", float("inf"), "`rescale_factor` must be above 0"),
        setting("rescale_factor", float("nan"), "`rescale_factor` must be above 0"),
        setting("rescale_factor", -1, "`rescale_factor` must be above 0"),
        setting("rescale_factor", True, "`rescale_factor` must be above 0"),
        setting("rescale_factor", "1/255", "`rescale_factor` must be above 0, got '1/255'"),
        setting("rescale_factor", 10**400, "`rescale_factor` must be above 0", shown="10**400"),
        setting("rescale_factor", 1e300, FINITE),
        setting("rescale_factor", 1e-300, FINITE),
        setting("rescale_factor", 5e-324, FINITE),
        setting("image_std", 1e-45, FINITE),
        setting("image_std", 1e-39, FINITE),
        setting("image_std", [0.2, 1e-45, 0.2], FINITE),
        setting("image_std", 1e-50, "`image_std` must be above 0"),
        setting("image_std", 0, "`image_std` must be above 0"),
        setting("image_std", -1, "`image_std` must be above 0"),
        setting("image_std", float("inf"), "`image_std` must be a number or three"),
        setting("image_std", "0.5", "`image_std` must be a number or three numbers, got '0.5'"),
        setting("image_mean", 1e300, FINITE),
        setting("image_mean", float("nan"), "`image_mean` must be a number or three"),
        setting("image_mean", [0.5] * 4, "`image_mean` must be a number or three"),
        setting("image_mean", [], "`image_mean` must be a number or three"),
        setting("image_mean", ["a", "b", "c"], "`image_mean` must be a number or three"),
        setting("image_mean", [[0.5] * 3], "`image_mean` must be a number or three"),
        setting("image_mean", {"red": 1}, "`image_mean` must be a number or three"),
        setting("resample", "cubic", "`resample` must be one of Pillow's filters"),
        setting("resample", 17, "`resample` must be one of Pillow's filters"),
        setting("resample", -1, "`resample` must be one of Pillow's filters"),
        setting("resample", True, "`resample` must be one of Pillow's filters"),
        setting("resample", 3.0, "`resample` must be one of Pillow's filters"),
        setting("size", 0, "`size` must be at least 1"),
        setting("size", -8, "`size` must be at least 1"),
        setting("size", 8.0, "`size` must be an integer, got 8.0", TypeError),
        setting("size", "8", "`size` must be an integer, got '8'", TypeError),
        setting("size", True, "`size` must be an integer", TypeError),
        setting("size", 100_000, "`size` must be at most 1024 pixels, got 100000"),
        setting("size", 10**30, "`size` must be at most"),
        setting("size", {"height": 8}, "`size` must be a square"),
        setting("size", {"height": 8, "width": 8, "depth": 8}, "`size` must be a square"),
        setting("size", {"height": 8, "width": "8"}, "`size` must be an integer", TypeError),
        setting("size", [8, 16], "`size` must be a square"),
        setting("size", [], "`size` must be", TypeError),
        setting("detailed_tiles", (1, 10**6), "`detailed_tiles` must be at most 1024"),
        setting("detailed_tiles", (0, 4), "`detailed_tiles` must be at least 1"),
        setting("detailed_tiles", (1, 10**5000), "`detailed_tiles` must be at most", shown="(1, 10**5000)"),
        setting("detailed_tiles", "12", "`detailed_tiles` must be two integers", TypeError),
        setting("detailed_tiles", None, "`detailed_tiles` must be two integers", TypeError),
        setting("detailed_tiles", [4] * 10**6, "`detailed_tiles` must be two integers", TypeError, "[4] * 10**6"),
        setting("adaptive_tiles", {3, 7}, "`adaptive_tiles` must be two integers", TypeError),
        setting("adaptive_tiles", (3, float("inf")), "`adaptive_tiles` must be an integer", TypeError),
        setting("complementarity", "every", "`complementarity` must be one of"),
        setting("complementarity", ["any"], "`complementarity` must be one of"),
        setting("complementarity", "x" * 10**6, "`complementarity` must be one of", shown="a megabyte"),
        setting("pyramid", "x" * 10**6, "`pyramid` must be one of", shown="a megabyte"),
        setting("pyramid", {}, "`pyramid` must be one of"),
        setting("tile_order", 3, "`tile_order` must hold each of"),
        setting("tile_order", ["detailed"] * 3, "`tile_order` must hold each of"),
        setting("input_data_format", "hwc", "`input_data_format` must be None or one of"),
        setting("data_format", "channels_last", "`data_format` can only be"),
        setting("return_tensors", "tf", "`return_tensors` must be None or one of"),
        setting("return_tensors", 3, "`return_tensors` must be None or one of"),
        setting("crop_size", 3, "`crop_size` can only be None"),
        setting("max_pixels", 0, "`max_pixels` must be None or an integer of at least 1"),
        setting("max_pixels", "many", "`max_pixels` must be None or an integer"),
        setting("max_images", -1, "`max_images` must be None or an integer of at least 1"),
        setting("max_images", 2.5, "`max_images` must be None or an integer"),
        setting("max_tiles", True, "`max_tiles` must be None or an integer"),
        setting("max_file_bytes", "1 GB", "`max_file_bytes` must be None or an integer"),
        setting("fetch_seconds", 0, "`fetch_seconds` must be above 0"),
        setting("fetch_seconds", None, "`fetch_seconds` must be above 0"),
        setting("fetch_seconds", float("inf"), "`fetch_seconds` must be above 0 and at most 86400"),
        setting("fetch_seconds", 1e20, "`fetch_seconds` must be above 0 and at most 86400"),
        setting("allow_paths", "", "`allow_paths` must be False, True, a folder"),
        setting("allow_paths", 1, "`allow_paths` must be False, True, a folder"),
        setting("allow_paths", None, "`allow_paths` must be False, True, a folder"),
        setting("allow_paths", ["a", 3], "`allow_paths` must be False, True, a folder"),
        setting("allow_urls", "https://example.com", "`allow_urls` must be False, True, or a list of hosts"),
        setting("allow_urls", ["example.com/images"], "`allow_urls` must be False, True, or a list of hosts"),
        setting("allow_urls", ["example.com:80"], "`allow_urls` must be False, True, or a list of hosts"),
        setting("allow_urls", ["*.example.com"], "`allow_urls` must be False, True, or a list of hosts"),
        setting("allow_urls", ["ü" * 300], "`allow_urls` must be False, True, or a list of hosts"),
        setting("allow_urls", {"example.com": 1}, "`allow_urls` must be False, True, or a list of hosts"),
        setting("disable_grouping", "no", "`disable_grouping` must be True or False"),
        setting("default_to_square", "no", "`default_to_square` must be True or False"),
        setting("device", 3.5, "`device` must be None or a device"),
        setting("allow_urls", [""], "`allow_urls` must be False, True, or a list of hosts"),
        setting("allow_urls", None, "`allow_urls` must be False, True, or a list of hosts"),
    ]
)
def test_settings_that_are_none(case, give):
    case.check(give)


def same(left, right) -> bool:
    return np.array_equal(left["pixel_values"], right["pixel_values"])


def setting_works(name: str, value, plain):
    return works(
        f"`{name}` = {value!r}",
        lambda: (
            MiniMonkeyImageProcessor(**{"size": 8, name: value})(PAGE),
            MiniMonkeyImageProcessor(size=8)(PAGE, **{name: value}),
            MiniMonkeyImageProcessor(size=8)(PAGE, **{name: plain}),
        ),
        f"as {plain!r}, at construction and in a call",
        lambda found: same(found[0], found[2]) and same(found[1], found[2]),
    )


@cases(
    [
        setting_works("do_rescale", np.bool_(False), False),
        setting_works("do_normalize", np.False_, False),
        setting_works("do_resize", np.True_, True),
        setting_works("do_convert_rgb", np.True_, True),
        setting_works("rescale_factor", np.float32(0.5), 0.5),
        setting_works("rescale_factor", np.float64(1 / 255), 1 / 255),
        setting_works("rescale_factor", np.int64(2), 2),
        setting_works("rescale_factor", Fraction(1, 2), 0.5),
        setting_works("image_mean", np.array([0.5, 0.25, 0.125]), (0.5, 0.25, 0.125)),
        setting_works("image_std", np.float32(0.5), 0.5),
        setting_works("image_std", [np.float32(0.5)] * 3, (0.5, 0.5, 0.5)),
        setting_works("resample", "bilinear", 2),
        setting_works("resample", "LANCZOS", 1),
        setting_works("resample", np.int64(0), 0),
        setting_works("resample", Image.Resampling.BOX, 4),
        setting_works("size", np.int64(8), 8),
        setting_works("size", [8, 8], 8),
        setting_works("size", {"height": np.int32(8), "width": 8}, 8),
        setting_works("detailed_tiles", [np.int64(1), np.uint8(6)], (1, 6)),
        setting_works("tile_order", ["global", "detailed", "adaptive"], ("global", "detailed", "adaptive")),
        setting_works("max_pixels", np.int64(10**6), 10**6),
        setting_works("max_tiles", np.uint16(500), 500),
    ]
)
def test_settings_of_other_kinds(case):
    case.check()


def test_settings_of_other_kinds_through_the_processor():
    """NumPy's numbers and names of filters: the same through the whole processor, flat and in a dictionary"""
    processor = make_processor()
    settings = {"resample": "bilinear", "rescale_factor": np.float32(0.5), "image_mean": np.zeros(3), "pyramid": "mme"}
    plain = {"resample": 2, "rescale_factor": 0.5, "image_mean": (0.0, 0.0, 0.0), "pyramid": "mme"}
    expected = processor(PAGE, processor.image_token, **plain)
    assert same(processor(PAGE, processor.image_token, **settings), expected)
    assert same(processor(PAGE, processor.image_token, images_kwargs=settings), expected)


def test_settings_of_other_kinds_are_saved(tmp_path):
    """NumPy's numbers, saved and loaded: the same tiles"""
    settings = {
        "resample": "box",
        "image_mean": np.array([0.5, 0.25, 0.125]),
        "detailed_tiles": [np.int64(1), np.int8(6)],
    }
    processor = MiniMonkeyImageProcessor(size=np.int64(8), max_tiles=np.int32(99), **settings)
    processor.save_pretrained(tmp_path)
    assert same(MiniMonkeyImageProcessor.from_pretrained(tmp_path)(PAGE), processor(PAGE))


@cases(
    [
        refused(f"`{name}`, a name of other processors, in from_pretrained", load, "has no argument", TypeError)
        for name in ("min_patches", "max_patches", "max_num", "max_dynamic_patch", "detailed_tile", "max_pixel")
        for load in [lambda cls, checkpoint, name=name: cls.from_pretrained(checkpoint, **{name: 6})]
    ]
)
@pytest.mark.parametrize("cls", [MiniMonkeyProcessor, MiniMonkeyImageProcessor, AutoProcessor])
def test_names_that_are_none_in_from_pretrained(case, cls, checkpoint):
    case.check(cls, checkpoint)


# Values that are scaled already.


FLOATS = np.asarray(PAGE, dtype=np.float32) / 255


@pytest.mark.parametrize(
    "floats",
    [FLOATS, FLOATS.astype(np.float64), FLOATS.transpose(2, 0, 1), FLOATS[..., :1], FLOATS[..., 0]],
    ids=["float32", "float64", "channels first", "one channel", "two dimensions"],
)
@pytest.mark.parametrize("do_normalize", [True, False])
def test_floats_in_0_to_1_are_scaled_already(floats, do_normalize):
    """Floats in 0..1 with `do_rescale=False`: the tiles of the same image as bytes with `do_rescale=True`"""
    processor = MiniMonkeyImageProcessor(size=8, do_normalize=do_normalize)
    image = np.rint(np.asarray(floats) * 255).astype(np.uint8)
    expected = processor(image)["pixel_values"]
    found = processor(floats, do_rescale=False)["pixel_values"]
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found).max() < 3
    between = processor(np.clip(floats + 0.3 / 255, 0, 1), do_rescale=False)["pixel_values"]
    assert np.abs(between - expected).max() <= 1 / 255 / (0.22 if do_normalize else 1)  # ImageNet's deviations


def test_each_image_has_its_own_scale():
    """Bytes and floats in 0..1 in one call with `do_rescale=False`: each taken as it is"""
    processor = MiniMonkeyImageProcessor(size=8, do_normalize=False, do_rescale=False)
    output = processor([PAGE, FLOATS, np.asarray(PAGE, dtype=np.float64)])["pixel_values"]
    whole, scaled, high = np.split(output, 3)
    np.testing.assert_array_equal(whole, high)
    np.testing.assert_allclose(whole / 255, scaled, rtol=1e-6)


# Limits.


@pytest.fixture
def little_memory():
    """At most 1 GB more than now: a limit that is checked too late ends in a MemoryError, not in a full machine."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def zeros(*shape: int, dtype=np.uint8) -> np.ndarray:
    """An array of any size that takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


@cases(
    [
        refused("20,000,000 x 1 pixels", lambda p: p(zeros(1, 20_000_000)), "a side may have at most 65535"),
        refused("89,000,000 x 1 pixels", lambda p: p(zeros(89_000_000, 1, 3)), "a side may have at most 65535"),
        refused("65,536 x 2 pixels, PIL", lambda p: p(Image.new("1", (65_536, 2))), "a side may have at most 65535"),
        works("65,535 x 1 pixels", lambda p: p(zeros(1, 65_535)), "tiles", lambda out, p: out["num_patches"][0] > 1),
        refused("10,001 x 10,001 bytes", lambda p: p(zeros(10_001, 10_001, 3)), "`max_pixels` = 100000000"),
        refused("the same as float64", lambda p: p(zeros(10_001, 10_001, 3, dtype=float)), "`max_pixels`"),
        refused("the same, two dimensions", lambda p: p(zeros(10_001, 10_001, dtype=float)), "`max_pixels`"),
        refused("the same, channels first", lambda p: p(zeros(3, 10_001, 10_001)), "`max_pixels`"),
        refused("the last of a list", lambda p: p([PAGE, zeros(10_001, 10_001)]), "images[1]"),
        refused("257 images", lambda p: p([PAGE] * 257), "257 images, `max_images` = 256"),
        refused("10,000,000 images", lambda p: p([PAGE] * 10**7), "`max_images` = 256"),
        refused("a stack of 10,000,000", lambda p: p(zeros(10**7, 8, 8, 3)), "`max_images` = 256"),
        refused("257 images in rows", lambda p: p([[PAGE] * 2] * 128 + [[PAGE]]), "257 images, `max_images` = 256"),
        works(
            "257 images, permitted",
            lambda p: p([PAGE] * 257, max_images=None, max_tiles=None, pyramid="pope"),
            "tiles",
            lambda out, p: len(out["num_patches"]) == 257,
        ),
        refused("100 images of 20 tiles", lambda p: p([PAGE] * 100), "tiles, `max_tiles` = 1024"),
        refused("(1024, 1024) tiles", lambda p: p(PAGE, detailed_tiles=(1024, 1024)), "`max_tiles` = 1024"),
        refused(
            "(1024, 1024) tiles of 1,024 pixels",
            lambda p: p(PAGE, detailed_tiles=(1024, 1024), size=1024),
            "`max_tiles` = 1024",
        ),
        works(
            "as many tiles as permitted",
            lambda p: p(PAGE, max_tiles=p.get_number_of_image_patches(30, 40)),
            "tiles",
            lambda out, p: len(out["pixel_values"]) == p.get_number_of_image_patches(30, 40),
        ),
        refused(
            "one tile more",
            lambda p: p(PAGE, max_tiles=p.get_number_of_image_patches(30, 40) - 1),
            "`max_tiles`",
        ),
    ]
)
def test_limits(case, little_memory):
    case.check(MiniMonkeyImageProcessor(size=8))


def test_counts_are_not_limited():
    """Counting the tiles of 10**9 x 1 pixels and of 1,025 tiles: the number"""
    processor = MiniMonkeyImageProcessor(size=8, max_tiles=3)
    assert processor.get_number_of_image_patches(1, 10**9) > 3
    assert processor.get_number_of_image_patches(30, 40, {"detailed_tiles": (1024, 1024)}) > 1024


@cases(
    [
        refused("a height of 0", lambda p: p(0, 5), "`height` must be at least 1, got 0"),
        refused("a negative width", lambda p: p(5, -5), "`width` must be at least 1, got -5"),
        refused("a float", lambda p: p(5.0, 5), "`height` must be an integer, got 5.0", TypeError),
        refused("a string", lambda p: p(5, "5"), "`width` must be an integer, got '5'", TypeError),
        refused("None", lambda p: p(None, 5), "`height` must be an integer, got None", TypeError),
        refused("10**400", lambda p: p(10**400, 5), "`height` must be at most 2147483647"),
        refused("10**5000", lambda p: p(10**5000, 5), "`height` must be at most 2147483647"),
        works("NumPy's integers", lambda p: p(np.int64(5), np.uint8(5)), "the number", lambda n, p: n == p(5, 5)),
    ]
)
def test_sizes_to_count(case):
    case.check(MiniMonkeyImageProcessor().get_number_of_image_patches)


def test_the_largest_ranges_are_planned_at_once():
    """`plan_pyramid` with `(1, 1024)` twice and `"joint"`: a plan, from grids that share no line"""
    for size in ((1000, 1000), (65_535, 1), (1234, 987), (1, 1000)):
        plan = plan_pyramid(*size, detailed_tiles=(1, 1024), adaptive_tiles=(1, 1024), complementarity="joint")
        assert plan.num_tiles > 1
