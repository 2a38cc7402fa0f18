"""A converted folder in processes that can import none of this project's packages, as a user of the Hub has it."""

import itertools
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.hidden import run_hidden
from tests.recorded import read_case, read_cases


CASE = "blobs_demo_evalorder"
AUTO_MODELS = {
    "AutoModel": "MiniMonkeyModel",
    "AutoModelForCausalLM": "MiniMonkeyForConditionalGeneration",
    "AutoModelForImageTextToText": "MiniMonkeyForConditionalGeneration",
    "AutoModelForMultimodalLM": "MiniMonkeyForConditionalGeneration",
}

ANSWER = """
import PIL.Image

image = {"type": "image", "image": PIL.Image.open(arguments["image"])}

def answers(folder):
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
    processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    content = [image, {"type": "text", "text": arguments["question"]}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}])
    length = inputs["input_ids"].shape[1]
    new = lambda **kwargs: model.generate(**inputs, max_new_tokens=16, **kwargs)[0, length:].tolist()
    return model, processor, {"prompt": inputs["input_ids"][0].tolist(), "all": new(), "half": new(keep_ratio=0.5)}
"""

FIRST = """
model, processor, result = answers(arguments["folder"])
result["classes"] = {
    name: type(getattr(transformers, name).from_pretrained(arguments["folder"], trust_remote_code=True)).__name__
    for name in arguments["auto_models"] + ["AutoConfig", "AutoImageProcessor", "AutoProcessor", "AutoTokenizer"]
}
chat = transformers.pipeline("image-text-to-text", model=arguments["folder"], trust_remote_code=True)
content = [image, {"type": "text", "text": arguments["question"]}]
output = chat([{"role": "user", "content": content}], max_new_tokens=16, return_full_text=False)
result["pipeline"] = output[0]["generated_text"]
result["text"] = processor.decode(result["all"], skip_special_tokens=True)
model.save_pretrained(arguments["copy"])
processor.save_pretrained(arguments["copy"])
model.model.save_pretrained(arguments["base"])
print("\\n" + json.dumps(result))
"""

SECOND = """
model, processor, result = answers(arguments["copy"])
base, info = transformers.AutoModel.from_pretrained(
    arguments["base"], trust_remote_code=True, output_loading_info=True
)
result["base"] = type(base).__name__
result["base_keys"] = sum(map(len, info.values()))
result["base_equal"] = all(
    torch.equal(a, b) for a, b in zip(base.state_dict().values(), model.model.state_dict().values(), strict=True)
)
model.save_pretrained(arguments["second"])
processor.save_pretrained(arguments["second"])
print("\\n" + json.dumps(result))
"""

WITHOUT_TRUST = """
from pathlib import Path
refused = {}
for name in arguments["auto_classes"]:
    for trust in ({"trust_remote_code": False}, {}):
        try:
            getattr(transformers, name).from_pretrained(arguments["folder"], **trust)
        except ValueError as error:
            refused[name] = "trust_remote_code" in str(error)
imported = [Path(arguments["seen"]).exists()]
transformers.AutoConfig.from_pretrained(arguments["folder"], trust_remote_code=True)
imported.append(Path(arguments["seen"]).exists())
print("\\n" + json.dumps([refused, imported]))  # the question whether to trust ends without a newline
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(home):
    """Runs a script in a fresh process with a fresh cache and gives what its last line of output says."""
    counter = itertools.count()
    return lambda script, **arguments: run_hidden(script, home, home / f"cache {next(counter)}", **arguments)


@pytest.fixture(scope="module")
def folder(home, golden, repository):
    """A checkpoint converted by the command line; its name is one that is no Python identifier."""
    folder = home / "2 Mini-Monkey v1.0 é"
    source = golden / "model" / "internlm2" / "checkpoint"
    command = [sys.executable, "-m", "modeling_minimonkey.convert_minimonkey_weights_to_hf", str(source), str(folder)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def case(golden):
    case = read_cases(golden / "model" / "internlm2")[CASE]
    return {"image": str(golden / case["image"]), "question": case["question"]}


@pytest.fixture(scope="module")
def truth(golden):
    return read_case(golden / "model" / "internlm2", CASE)


@pytest.fixture(scope="module")
def first(run, folder, case, home):
    folders = {"folder": str(folder), "copy": str(home / "saved.again"), "base": str(home / "base only")}
    result = run(ANSWER + FIRST, auto_models=list(AUTO_MODELS), **folders, **case)
    return folders | {"result": result, "files": {path.name for path in folder.iterdir()}}


@pytest.fixture(scope="module")
def second(run, first, case, home):
    """What the copy that the first process saved gives when the folder it came from is gone."""
    folder = home / "moved away"
    shutil.move(first["folder"], folder)
    try:
        result = run(ANSWER + SECOND, copy=first["copy"], base=first["base"], second=str(home / "second"), **case)
    finally:
        shutil.move(folder, first["folder"])
    return result


def check_answers(result, truth):
    assert result["prompt"] == truth["input_ids"].tolist()
    assert result["all"] == truth["greedy_ids"].tolist()
    assert result["half"] == truth["scm_greedy_ids_fixed"].tolist()


def test_config_names_every_auto_class(folder):
    auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
    for name, class_name in (AUTO_MODELS | {"AutoConfig": "MiniMonkeyConfig"}).items():
        file, _, saved = auto_map[name].partition(".")
        assert saved == class_name
        assert (folder / f"{file}.py").is_file()


def test_every_auto_class_loads(first):
    classes = first["result"]["classes"]
    assert {name: classes[name] for name in AUTO_MODELS} == AUTO_MODELS
    assert classes["AutoConfig"] == "MiniMonkeyConfig"
    assert classes["AutoImageProcessor"] == "MiniMonkeyImageProcessor"
    assert classes["AutoProcessor"] == "MiniMonkeyProcessor"
    assert classes["AutoTokenizer"] == "TokenizersBackend"


def test_remote_code_answers_as_the_published_model(first, truth):
    check_answers(first["result"], truth)


def test_pipeline_answers_the_same(first):
    assert first["result"]["pipeline"] == first["result"]["text"] != ""


def test_a_copy_saved_by_remote_code_answers_the_same(second, truth):
    check_answers(second, truth)


def test_copies_have_the_same_files(first, second, home):
    for copy in (first["copy"], home / "second"):
        # The original's small files are for the converter alone: `save_pretrained` does not know them.
        assert {name for name in os.listdir(copy) if name != "__pycache__"} == first["files"] - {"original"}


def test_base_model_alone_is_complete(second):
    assert (second["base"], second["base_keys"], second["base_equal"]) == ("MiniMonkeyModel", 0, True)


def test_without_trust_nothing_is_loaded_or_imported(run, folder, home):
    watched, seen = home / "watched", home / "imported.txt"
    shutil.copytree(folder, watched)
    for path in watched.glob("*.py"):
        path.write_text(path.read_text(encoding="utf-8") + f"\nopen({str(seen)!r}, 'w').close()\n", encoding="utf-8")
    names = [*AUTO_MODELS, "AutoConfig", "AutoImageProcessor", "AutoProcessor"]
    classes = [*names, "AutoTokenizer"]
    refused, imported = run(WITHOUT_TRUST, folder=str(watched), auto_classes=classes, seen=str(seen))
    assert {name for name, named_the_argument in refused.items() if named_the_argument} >= set(names)
    assert imported == [False, True]  # without trust, and with it, when the watch works
