"""Damaged files: mutated ones of every format that is opened."""

import random
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features

from processing_minimonkey import MiniMonkeyImageProcessor
from tests.robustness.cases import LONGEST_MESSAGE


SIGNATURE = 8  # bytes of a PNG before its first chunk


@cache
def files() -> dict[str, bytes]:
    """Small files of every format and kind of pixels, each of two frames where the format has frames."""
    values = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    values[:12] = values[:12, :1]  # in part of one color, so that there is something to compress
    photo = Image.fromarray(values)
    gray = photo.convert("L")
    alpha = photo.convert("RGBA")
    alpha.putalpha(gray)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    two = {"save_all": True}  # frames
    kinds = [
        ("PNG", photo, {"exif": exif}),
        ("PNG", alpha, {}),
        ("PNG", photo.quantize(16), {"transparency": 3}),
        ("PNG", gray.convert("1"), {}),
        ("PNG", gray.convert("I;16"), {}),
        ("PNG", photo, two),
        ("JPEG", photo, {"exif": exif, "quality": 90}),
        ("JPEG", photo, {"progressive": True}),
        ("JPEG", photo.convert("CMYK"), {}),
        ("MPO", photo, two),
        ("GIF", photo.quantize(16), two | {"transparency": 2}),
        ("WEBP", photo, {"exif": exif}),
        ("WEBP", alpha, {"lossless": True}),
        ("WEBP", photo, two),
        ("BMP", photo, {}),
        ("BMP", photo.quantize(16), {}),
        ("TIFF", photo, {"exif": exif}),
        ("TIFF", photo, two | {"compression": "tiff_lzw"}),
        ("TIFF", photo, {"compression": "jpeg"}),
        ("TIFF", gray.convert("1"), {"compression": "group4"}),
        ("TIFF", gray.convert("F"), {"compression": "tiff_deflate"}),
        ("ICO", alpha, {"sizes": [(16, 16), (24, 24)]}),
        ("ICO", alpha, {"sizes": [(16, 16)], "bitmap_format": "bmp"}),
        ("PPM", photo, {}),
        ("PPM", gray, {}),
    ]
    if features.check("avif"):
        kinds += [("AVIF", photo, {}), ("AVIF", alpha, two)]
    encoded = {}
    for number, (kind, image, options) in enumerate(kinds):
        file = BytesIO()
        # Copies, since what a format leaves on an image spoils the next
        frames = {"append_images": [image.rotate(90)]} if "save_all" in options else {}
        image.copy().save(file, kind, **options, **frames)
        encoded[f"{kind} {number}"] = file.getvalue()
    encoded["PPM plain"] = b"P3\n# a comment\n3 2\n255\n" + b" ".join(b"%d" % value for value in range(18))
    return encoded


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Types and contents of a PNG's chunks."""
    found, at = [], SIGNATURE
    while at + 8 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def from_chunks(found: list[tuple[bytes, bytes]]) -> bytes:
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in found
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """`data` after one to four mutations; those of a PNG's chunks keep its checksums right."""
    for _ in range(rng.randint(1, 4)):
        if data.startswith(b"\x89PNG") and rng.random() < 0.5 and (found := chunks(data)):
            data = from_chunks(_damaged_chunks(found, rng))
        elif data:
            data = _damaged_bytes(bytearray(data), rng)
    return data


def _damaged_chunks(found: list[tuple[bytes, bytes]], rng: random.Random) -> list[tuple[bytes, bytes]]:
    at = rng.randrange(len(found))
    kind, content = found[at]
    if rng.random() < 0.3:
        return found[:at] + found[at + 1 :]
    if rng.random() < 0.2:
        return found[: at + 1] + found[rng.randrange(len(found)) :]
    if content:
        found[at] = kind, _damaged_bytes(bytearray(content), rng)
    return found


def _damaged_bytes(data: bytearray, rng: random.Random) -> bytes:
    at = min(int(rng.expovariate(1 / 60)), len(data) - 1) if rng.random() < 0.6 else rng.randrange(len(data))
    until = at + rng.choice([1, 1, 2, 4, 16, len(data)])
    way = rng.randrange(6)
    if way == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif way == 1:
        data[at:until] = rng.randbytes(min(until, len(data)) - at)
    elif way == 2:
        data[at:until] = bytes([rng.choice([0, 1, 127, 128, 255])]) * (min(until, len(data)) - at)
    elif way == 3:
        del data[at:until]
    elif way == 4:
        data[at:at] = data[rng.randrange(len(data)) :][: until - at]
    else:
        data[at : at + 4] = struct.pack(
            rng.choice("<>") + "I", rng.choice([0, 1, 3, 2**15, 2**16, 2**31 - 1, 2**32 - 1])
        )
    return bytes(data)


def mutated_files(number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    rng = random.Random(seed)
    for _ in range(number):
        name = rng.choice(sorted(files()))
        yield name, damaged(files()[name], rng)


def what_comes(number: int, seed: int) -> Counter:
    """How many files gave tiles, and how many were refused; anything else is raised."""
    processor = MiniMonkeyImageProcessor(size=4, max_pixels=1_000_000)
    counts = Counter()
    for index, (name, data) in enumerate(mutated_files(number, seed)):
        where = f"file {index} of seed {seed}, {name}"
        try:
            output = processor(data)
        except ValueError as error:
            assert type(error) is ValueError, where
            assert str(error).startswith(("images (", "images can't be used", "Image 0 can't be used")), (where, error)
            assert len(str(error)) <= LONGEST_MESSAGE, where
            assert not re.search(r"\b0x[0-9a-f]{6,}", str(error)), (where, error)
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}") from error
        else:
            assert len(output["pixel_values"]) == output["num_patches"][0] > 0, where
            assert np.isfinite(output["pixel_values"]).all(), where
            counts["tiles"] += 1
    return counts


def test_whole_files():
    """28 whole files of nine formats: tiles"""
    processor = MiniMonkeyImageProcessor(size=4)
    assert {name.split()[0] for name in files()} >= {"PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM"}
    for data in files().values():
        assert len(processor(data)["pixel_values"]) > 0


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_500_mutated_files():
    """500 mutated files of nine formats, seeded: tiles or a ValueError without an address, nothing else"""
    counts = what_comes(500, seed=0)
    assert min(counts["tiles"], counts["refused"]) > 50, counts


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_10_000_mutated_files():
    """10,000 mutated files of nine formats, seeded: tiles or a ValueError without an address, nothing else"""
    counts = what_comes(10_000, seed=1)
    assert min(counts["tiles"], counts["refused"]) > 1000, counts
