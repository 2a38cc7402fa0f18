"""From the bytes of a JPEG to `pixel_values`, against the least that any implementation has to do.

The floor decodes once, resizes once per group and writes every output value once; it neither normalizes nor checks.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.speed.timing import compare
from processing_minimonkey import MiniMonkeyImageProcessor, plan_pyramid


WIDTH, HEIGHT = 3000, 2000
TILE_SIZE = 448
LIMIT = 1.3


def make_photo(seed: int = 0) -> bytes:
    """A JPEG of 3000 x 2000 px with what makes photos costly to decode: gradients, noise and text."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.stack((x / WIDTH, y / HEIGHT, (x + y) / (WIDTH + HEIGHT)), axis=-1) * 200
    image = Image.fromarray((base + rng.normal(25, 12, base.shape)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for line in range(40):
        words = " ".join("".join(rng.choice(list("abcdefghij"), 6)) for _ in range(16))
        draw.text((60, 48 * line + 30), words, fill=(20, 20, 20), font=ImageFont.load_default(32))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def floor(jpeg: bytes) -> np.ndarray:
    """One decode, one resize per group, one pass over the output."""
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    plan = plan_pyramid(WIDTH, HEIGHT, tile_size=TILE_SIZE)
    output = np.empty((plan.num_tiles, 3, TILE_SIZE, TILE_SIZE), dtype=np.float32)
    row = 0
    for group in ("detailed", "adaptive", "global"):
        canvas = np.asarray(image.resize(plan.canvas_size(group), Image.Resampling.BICUBIC))
        for tile in plan.group_tiles(group):
            left, top, right, bottom = tile.box
            output[row] = canvas[top:bottom, left:right].transpose(2, 0, 1)
            row += 1
    return output


def measure(rounds: int = 21) -> dict:
    """Times of the image processor and of the floor, side by side."""
    jpeg = make_photo()
    processor = MiniMonkeyImageProcessor()
    result = compare(
        {
            "floor": lambda: floor(jpeg),
            "image processor": lambda: processor(jpeg, return_tensors="pt")["pixel_values"],
        },
        rounds,
    )
    plan = plan_pyramid(WIDTH, HEIGHT, tile_size=TILE_SIZE)
    return result | {"tiles": plan.num_tiles, "jpeg_bytes": len(jpeg), "limit": LIMIT}
