"""The script that asks about an image and counts its tokens."""

import subprocess
import sys


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
