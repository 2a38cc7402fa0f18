"""verify.py, on copies of the small checkpoint that somebody has changed."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import verify


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A copy of the small checkpoint without its weights."""
    copy = tmp_path / "model"
    shutil.copytree(checkpoint, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    return copy


def edit(file, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_our_own_code_is_known(folder, checkpoint):
    assert verify.differences(folder) == []
    assert verify.expected_hashes().keys() == {file.name for file in checkpoint.glob("*.py")}


def test_hashes_are_those_of_sha256sum(repository):
    file = repository / "processing_minimonkey" / "image_processing_minimonkey.py"
    output = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout
    assert verify.expected_hashes()[file.name] == output.split()[0]


def test_a_folder_without_code_is_no_danger(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert verify.differences(tmp_path) == []


def append(file: str):
    return lambda folder: (folder / file).write_text((folder / file).read_text() + "#")


def test_a_repository_is_judged_by_all_its_names(folder):
    """Of a repository only code is downloaded, and more than that can hold some."""
    names = [file.name for file in folder.iterdir()]
    assert verify.differences(folder, [*names, "model.safetensors"]) == []
    assert verify.differences(folder, [*names, "a/optimizer.pt"]) == [
        "a/optimizer.pt is a pickle; load the safetensors alone."
    ]


@pytest.mark.parametrize(
    ("tried", "change", "words"),
    [
        ("a changed file", append("modeling_minimonkey.py"), "modeling_minimonkey.py differs"),
        ("an added file", lambda folder: (folder / "extra.py").write_text(""), "extra.py is none of"),
        ("a file in a folder", lambda f: (f / "a").mkdir() or (f / "a" / "b.py").write_text(""), "a/b.py is none of"),
        ("a lost file", lambda folder: (folder / "self_check.py").unlink(), "self_check.py is missing"),
        ("a pickle", lambda folder: (folder / "rng_state.pth").touch(), "rng_state.pth is a pickle"),
        (
            "code of another repository",
            lambda f: edit(f / "config.json", lambda c: c["auto_map"].update(AutoModel="a/b--modeling_minimonkey.M")),
            "a/b--modeling_minimonkey.M",
        ),
        (
            "code named in a part of a configuration",
            lambda f: edit(f / "config.json", lambda c: c["text_config"].update(auto_map={"AutoConfig": "evil.C"})),
            "evil.C",
        ),
        (
            "a tokenizer's code, in a list",
            lambda f: edit(
                f / "tokenizer_config.json", lambda c: c.update(auto_map={"AutoTokenizer": ["evil.T", None]})
            ),
            "evil.T",
        ),
        (
            "a file that says to trust",
            lambda f: edit(f / "config.json", lambda c: c["text_config"].update(trust_remote_code=True)),
            "trust_remote_code",
        ),
        (
            "a file that is no JSON",
            lambda folder: (folder / "config.json").write_text("{"),
            "config.json is not JSON",
        ),
        ("a library", lambda folder: (folder / "evil.so").touch(), "evil.so is of a kind"),
        ("compiled code", lambda folder: (folder / "self_check.pyc").touch(), "self_check.pyc is of a kind"),
        ("code in capitals", lambda folder: (folder / "EVIL.PY").touch(), "EVIL.PY is of a kind"),
        ("a pickle in capitals", lambda folder: (folder / "model.BIN").touch(), "model.BIN is a pickle"),
        ("weights of Keras", lambda folder: (folder / "tf_model.h5").touch(), "tf_model.h5 is of a kind"),
        ("a pipe", lambda folder: os.mkfifo(folder / "x.json"), "x.json is no file"),
        ("a link to a folder", lambda folder: (folder / "more").symlink_to("/tmp"), "more is of a kind"),
        ("a link to nothing", lambda folder: (folder / "extra.py").symlink_to("none"), "extra.py is none of"),
        (
            "code that replaces generate",
            lambda f: (f / "custom_generate").mkdir() or (f / "custom_generate" / "generate.py").touch(),
            "custom_generate/generate.py is none of",
        ),
        ("an adapter", lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter_config.json names"),
        (
            "a pipeline of another repository",
            lambda f: edit(f / "config.json", lambda c: c.update(custom_pipelines={"x": {"impl": "a/b--evil.P"}})),
            "custom_pipelines",
        ),
        (
            "attention of the Hub",
            lambda f: edit(f / "config.json", lambda c: c["text_config"].update(_attn_implementation="evil/kernel")),
            "evil/kernel",
        ),
        (
            "what one of our files imports",
            lambda f: edit(f / "config.json", lambda c: c["auto_map"].update(AutoModel="modeling_minimonkey.torch")),
            "modeling_minimonkey.torch",
        ),
        (
            "a folder in a name",
            lambda f: edit(
                f / "config.json", lambda c: c["auto_map"].update(AutoModel="self_check.a.MiniMonkeyModel")
            ),
            "self_check.a.MiniMonkeyModel",
        ),
    ],
)
def test_other_code_is_named(folder, tried, change, words):
    change(folder)
    found = verify.differences(folder)
    assert len(found) == 1 and words in found[0], found


def test_the_command_says_so_with_its_exit_code(repository, folder):
    command = [sys.executable, repository / "examples" / "verify.py", folder]
    same = subprocess.run(command, capture_output=True, text=True)
    assert (same.returncode, same.stdout.splitlines()[-1][:3]) == (0, "OK:"), same.stderr
    append("modeling_minimonkey.py")(folder)
    other = subprocess.run(command, capture_output=True, text=True)
    assert (other.returncode, other.stdout.splitlines()[-1][:7]) == (1, "DIFFERS")
    none = subprocess.run([*command[:2], folder / "none"], capture_output=True, text=True)
    assert none.returncode == 1 and none.stderr.startswith("error: ") and "Traceback" not in none.stderr
