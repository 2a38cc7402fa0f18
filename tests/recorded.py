"""The recorded data of tests/golden, and what it was made with, where it shows."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from safetensors import safe_open


# Pillow 13 resizes some images to other values, by a gray level, than the releases before it
PILLOW_RESIZES_AS_RECORDED = int(PIL.__version__.partition(".")[0]) >= 13

# One image each, of both language models; golden/README.md explains them
CASES = [
    "blobs_demo_evalorder",
    "blobs_demo_demoorder",
    "palette_demo_evalorder",
    "single_docvqa_evalorder",
    "checker_chartqa_demoorder",
]
EMBEDDINGS = {
    "internlm2": "language_model.model.tok_embeddings.weight",
    "qwen2": "language_model.model.embed_tokens.weight",
}
MEAN, STD = (np.array(values, dtype=np.float32) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def normalized(tiles: np.ndarray) -> np.ndarray:
    """What the published code makes of tiles of bytes, (tiles, height, width, 3), to the last bit."""
    return ((tiles.astype(np.float32) / np.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2)


def as_bytes(pixel_values: np.ndarray) -> np.ndarray:
    """The bytes that normalized tiles were made of."""
    return np.rint((pixel_values.transpose(0, 2, 3, 1) * STD + MEAN) * 255).astype(np.uint8)


def read_json(path: Path) -> Any:
    """A JSON file, compressed or not."""
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def read_cases(folder: Path) -> dict[str, dict]:
    """What was asked in each case of the language model in `folder`."""
    return {case["name"]: case for case in read_json(folder / "cases.json")["cases"]}


def read_case(folder: Path, name: str) -> dict[str, np.ndarray]:
    """
    What was recorded of one case: the arrays of its file, and those that follow from others.

    `pixel_values` are stored as bytes, once for both language models, and once for both orders of the same tiles;
    `input_embeds` have the features `vit_embeds` in the places of the image tokens.
    """
    case, arrays = read_cases(folder)[name], read_arrays(folder / f"{name}.npz")
    same = case.get("tiles_of", {"case": name, "order": slice(None)})
    with np.load(folder.parent / "tiles.npz") as tiles:
        arrays["pixel_values"] = np.ascontiguousarray(normalized(tiles[same["case"]][same["order"]]))
    if "vit_embeds" not in arrays:
        arrays["vit_embeds"] = read_arrays(folder / f"{same['case']}.npz")["vit_embeds"][same["order"]]
    with safe_open(folder / "checkpoint" / "model.safetensors", "np") as checkpoint:
        embeds = checkpoint.get_tensor(EMBEDDINGS[folder.name])[arrays["input_ids"]]
    embeds[arrays["input_ids"] == case["img_context_token_id"]] = arrays["vit_embeds"].reshape(-1, embeds.shape[1])
    return arrays | {"input_embeds": embeds}


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)
