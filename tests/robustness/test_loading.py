"""Loading: checkpoints that are damaged, or made to do harm."""

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from tests.modeling.conftest import randomize, tiny_config
from tests.robustness.cases import cases, works


WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model = MiniMonkeyForConditionalGeneration(tiny_config())
    randomize(model)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A saved model that a test may change."""
    return shutil.copytree(saved, tmp_path / "folder")


class Evil:
    """What runs when a pickle that holds it is read without care."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def loaded(folder: Path, **options) -> Exception | MiniMonkeyForConditionalGeneration:
    """The model, or the error that loading it ends in."""
    try:
        return MiniMonkeyForConditionalGeneration.from_pretrained(folder, **options)
    except Exception as error:
        return error
    finally:
        assert not (folder / "executed").exists(), "a file of the checkpoint ran code"


def refused(tried: str, change: Callable, words: str, **options):
    """A checkpoint whose loading must end in an error, of the library or ours, that says `words`."""

    def call(folder: Path):
        change(folder)
        return loaded(folder, **options)

    holds = lambda error, folder: isinstance(error, Exception) and words in str(error)  # noqa: E731
    return works(tried, call, f"an error: …{words}…", holds)


def edit(change: Callable):
    def edited(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return edited


def with_header(header: bytes, rest: bytes = b""):
    return lambda folder: (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + rest)


def with_pickle(name: str):
    def change(folder: Path) -> None:
        with open(folder / name, "wb") as file:
            pickle.dump({"a": Evil(folder / "executed")}, file)

    return change


def pickle_alone(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with_pickle("pytorch_model.bin")(folder)


def config_of(folder: Path, **settings) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | settings))


TWO = json.dumps({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}).encode()
TWICE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'


@cases(
    [
        refused("weights of 0 bytes", lambda f: (f / WEIGHTS).write_bytes(b""), "header"),
        refused("a header of 2**63 bytes", lambda f: (f / WEIGHTS).write_bytes(struct.pack("<Q", 2**63)), "header"),
        refused("a header that is not UTF-8", with_header(b"\xff\xfe{}"), "header"),
        refused("a header that is no JSON", with_header(b"{" * 100), "header"),
        refused("weights that are cut off", lambda f: os.truncate(f / WEIGHTS, 100_000), "header"),
        refused("bytes behind the weights", lambda f: open(f / WEIGHTS, "ab").write(b"more"), "header"),
        refused("tensors that overlap", with_header(TWO, bytes(8)), "header"),
        refused("a name twice", with_header(TWICE, bytes(8)), "header"),
        refused(
            "a transposed tensor",
            edit(lambda t: t.update({"lm_head.weight": t["lm_head.weight"].T.contiguous()})),
            "mismatched",
        ),
        refused("no weights", lambda f: (f / WEIGHTS).unlink(), WEIGHTS),
        refused("a pickle alone, where safetensors are asked for", pickle_alone, WEIGHTS, use_safetensors=True),
        refused("a pickle alone that runs code", pickle_alone, "eights"),
        refused(
            "an unknown method of quantization",
            lambda f: config_of(f, quantization_config={"quant_method": "x"}),
            "quant",
        ),
        refused("10**9 layers", lambda f: config_of(f, text_config={"num_hidden_layers": 10**9}), "num_hidden_layers"),
        refused(
            "code of the Hub as attention",
            lambda f: config_of(f, attn_implementation="evil/kernel"),
            "no code of the Hub",
        ),
        works(
            "pickles beside the weights",
            lambda f: [
                with_pickle(name)(f) or loaded(f)
                for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "rng_state.pth")
            ],
            "the model, and no code is run",
            lambda models, f: all(isinstance(model, torch.nn.Module) for model in models),
        ),
        works(
            "code of the checkpoint, where trust was not given",
            lambda f: watched(f),
            "this project's installed code, not the folder's",
            lambda model, f: type(model) is MiniMonkeyForConditionalGeneration,
        ),
        works(
            "a folder on the meta device",
            lambda f: MiniMonkeyForConditionalGeneration(MiniMonkeyConfig.from_pretrained(f)).to("meta"),
            "no memory for weights",
            lambda model, f: all(parameter.is_meta for parameter in model.parameters()),
        ),
        works(
            "device_map",
            lambda f: loaded(f, device_map={"": "cpu"}),
            "the model",
            lambda model, f: isinstance(model, torch.nn.Module),
        ),
    ]
)
def test_checkpoints(case, folder):
    case.check(folder)


def watched(folder: Path):
    for path in folder.glob("*.py"):
        path.write_text(path.read_text() + f"\nopen({str(folder / 'executed')!r}, 'w')\n")
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert not (folder / "executed").exists()
    return model
