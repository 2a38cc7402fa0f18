"""Weight files against `safetensors` and `torch.save` themselves."""

import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from modeling_minimonkey.conversion.weight_files import LazyTensor, open_tensors, write_tensors
from tests.modeling.conversion.checkpoint_edits import read_tensors, same_tensors


@pytest.fixture
def tensors():
    """Odd sizes and mixed widths, so that a wrong offset shows."""
    torch.manual_seed(0)
    return {
        "narrow": torch.randn(3, 5).bfloat16(),
        "wide": torch.randn(7, 2),
        "number": torch.tensor(2.5),
        "widest": torch.randn(3, dtype=torch.float64),
        "half": torch.randn(12).half(),
        "none": torch.empty(0, 4),
    }


def lazy(tensors):
    return {name: LazyTensor(tuple(each.shape), each.dtype, lambda each=each: each) for name, each in tensors.items()}


def read(tensors):
    return {name: tensor.read() for name, tensor in tensors.items()}


def write_shards(folder, tensors, suffix="safetensors", index="model.safetensors.index.json", save=save_file):
    weight_map = {key: f"weights-{position % 2}.{suffix}" for position, key in enumerate(tensors)}
    for name in set(weight_map.values()):
        save({key: tensor for key, tensor in tensors.items() if weight_map[key] == name}, folder / name)
    (folder / index).write_text(json.dumps({"weight_map": weight_map}))
    return weight_map


@pytest.mark.parametrize("name", ["n", "na", "name"])  # headers of other lengths
def test_what_is_written_is_what_safetensors_reads(tensors, tmp_path, name):
    tensors[name] = torch.randn(2)
    write_tensors(tmp_path, lazy(tensors))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert same_tensors(load_file(tmp_path / "model.safetensors"), tensors)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    content = (tmp_path / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    del header["__metadata__"]
    assert start % 8 == 0
    for name, entry in header.items():  # readers may map a tensor where it lies
        assert entry["data_offsets"][0] % tensors[name].dtype.itemsize == 0, name


def test_large_checkpoints_are_split_as_transformers_splits_them(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(16, 16) for _ in range(5)))
    tensors = model.state_dict()
    write_tensors(tmp_path, lazy(tensors), max_shard_size=3000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_parameters": 5 * 272, "total_size": 5 * 272 * 4}
    assert sorted(set(index["weight_map"].values())) == [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    for name in set(index["weight_map"].values()):
        part = load_file(tmp_path / name)
        assert sum(tensor.nbytes for tensor in part.values()) <= 3000
        assert {key for key, place in index["weight_map"].items() if place == name} == part.keys()
    assert same_tensors(read_tensors(tmp_path), dict(tensors))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(tensors, tmp_path, value):
    tensors["half"][3] = value
    with pytest.raises(ValueError, match="half has values that are not finite numbers in float16"):
        write_tensors(tmp_path, lazy(tensors))


def test_a_cast_that_overflows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="big .* float16"):
        write_tensors(tmp_path, lazy({"big": torch.tensor([1.0, 70000.0])}), dtype=torch.float16)


def test_large_tensors_are_cast_and_written_in_parts(tmp_path):
    torch.manual_seed(0)
    tensors = {"large": torch.randn(2**12, 2**13), "small": torch.randn(3)}  # two parts and one
    write_tensors(tmp_path, lazy(tensors), dtype=torch.bfloat16)
    written = load_file(tmp_path / "model.safetensors")
    assert same_tensors(written, {name: tensor.bfloat16() for name, tensor in tensors.items()})


def test_one_file_and_shards_are_read_alike(tensors, tmp_path):
    save_file(tensors, tmp_path / "model.safetensors")
    single = open_tensors(tmp_path)
    assert same_tensors(read(single), tensors)
    assert {name: (each.shape, each.dtype) for name, each in single.items()} == {
        name: (tuple(each.shape), each.dtype) for name, each in tensors.items()
    }
    (tmp_path / "model.safetensors").unlink()
    write_shards(tmp_path, tensors)
    assert same_tensors(read(open_tensors(tmp_path)), tensors)


def test_pickles_are_read_only_when_asked(tensors, tmp_path):
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pickled weights only .*--allow-pickle"):
        open_tensors(tmp_path)
    assert same_tensors(read(open_tensors(tmp_path, allow_pickle=True)), tensors)
    (tmp_path / "pytorch_model.bin").unlink()
    write_shards(tmp_path, tensors, "bin", "pytorch_model.bin.index.json", torch.save)
    with pytest.raises(FileNotFoundError, match=r"pickled weights only .*--allow-pickle"):
        open_tensors(tmp_path)
    assert same_tensors(read(open_tensors(tmp_path, allow_pickle=True)), tensors)


def test_safetensors_win_over_pickles(tensors, tmp_path):
    torch.save({"other": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    save_file(tensors, tmp_path / "model.safetensors")
    assert open_tensors(tmp_path, allow_pickle=True).keys() == tensors.keys()


class Payload:
    """Unpickled without care, it makes a file: what `weights_only` is there to prevent."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_pickle_is_not_run(tmp_path):
    torch.save({"weight": torch.ones(2), "payload": Payload(tmp_path / "made")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="unreadable file pytorch_model.bin"):
        open_tensors(tmp_path, allow_pickle=True)
    assert not (tmp_path / "made").exists()


def test_a_pickle_must_hold_tensors_by_name(tmp_path):
    for content in ([torch.ones(2)], {"weight": torch.ones(2), "epoch": 3}):
        torch.save(content, tmp_path / "pytorch_model.bin")
        with pytest.raises(ValueError, match="pytorch_model.bin that holds something else"):
            open_tensors(tmp_path, allow_pickle=True)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_damaged_files_are_named(tensors, tmp_path, name):
    (save_file if name == "model.safetensors" else torch.save)(tensors, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for damaged in (b"", whole[:-1], whole[: len(whole) // 2], (2**62).to_bytes(8, "little") + whole[8:]):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"unreadable file {name}"):
            open_tensors(tmp_path, allow_pickle=True)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights: neither model.safetensors nor"):
        open_tensors(tmp_path)


@pytest.mark.parametrize("dtype, name", [(torch.int8, "I8"), (torch.float8_e4m3fn, "F8_E4M3"), (torch.bool, "BOOL")])
def test_quantized_weights_are_refused(tmp_path, dtype, name):
    save_file({"good": torch.ones(2), "packed": torch.ones(2).to(dtype)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=re.escape(f"{{'packed': '{name}'}}")):
        open_tensors(tmp_path)


def test_an_index_must_fit_its_files(tensors, tmp_path):
    weight_map = write_shards(tmp_path, tensors)

    def load(weight_map):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        return open_tensors(tmp_path)

    load(weight_map)
    with pytest.raises(ValueError, match=re.escape("beside it, got ['../weights-0.safetensors']")):
        load(dict.fromkeys(tensors, "../weights-0.safetensors"))
    with pytest.raises(ValueError, match=re.escape("differ in ['loss']")):
        load(weight_map | {"loss": "weights-0.safetensors"})
    with pytest.raises(ValueError, match=re.escape("differ in ['narrow']")):
        load({key: place for key, place in weight_map.items() if key != "narrow"})
    with pytest.raises(FileNotFoundError, match=re.escape("names: ['weights-2.safetensors']")):
        load(weight_map | {"loss": "weights-2.safetensors"})
    save_file({"wide": tensors["wide"]}, tmp_path / "weights-2.safetensors")
    with pytest.raises(ValueError, match=re.escape("more than one file: ['wide']")):
        load(weight_map | {"loss": "weights-2.safetensors"})
    for content in ("{", "[]", "{}", '{"weight_map": ["a"]}', '{"weight_map": {"a": 1}}'):
        (tmp_path / "model.safetensors.index.json").write_text(content)
        with pytest.raises(ValueError, match="model.safetensors.index.json"):
            open_tensors(tmp_path)
