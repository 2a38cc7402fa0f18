"""Images: what stands where an image should."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from processing_minimonkey import MiniMonkeyImageProcessor
from tests.robustness.cases import cases, refused, works


@pytest.fixture(scope="module")
def image_processor() -> MiniMonkeyImageProcessor:
    return MiniMonkeyImageProcessor(size=8)


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))


@cases(
    [
        works(
            "1 x 1 pixel", lambda p: p(Image.new("RGB", (1, 1))), "tiles", lambda out, p: out["num_patches"][0] >= 1
        ),
        refused("half a PNG", lambda p: p(png(NOISE)[: len(png(NOISE)) // 2]), "can't be decoded"),
        refused("None in a list", lambda p: p([NOISE, None]), "images[1]", TypeError),
    ]
)
def test_images(case, image_processor):
    case.check(image_processor)
