"""Draw the figure of the README, docs/pyramid.png."""

from pathlib import Path

from PIL import Image
from transformers import AutoProcessor

import processing_minimonkey  # noqa: F401  (makes the Auto classes know the processor)
from processing_minimonkey.visualization import plot_pyramid


ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    processor = AutoProcessor.from_pretrained(ROOT / "checkpoints" / "minimonkey-tiny", trust_remote_code=True)
    figure = plot_pyramid(processor, Image.open(ROOT / "examples" / "page.png"))
    (ROOT / "docs").mkdir(exist_ok=True)
    figure.savefig(ROOT / "docs" / "pyramid.png", dpi=80)


if __name__ == "__main__":
    main()
