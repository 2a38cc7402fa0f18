"""verify.py, on copies of the small checkpoint that somebody has changed."""

import json
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def verify(repository):
    sys.path.insert(0, str(repository / "examples"))
    try:
        import verify
    finally:
        sys.path.pop(0)
    return verify


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


def test_our_own_code_is_known(verify, folder, checkpoint):
    assert verify.differences(folder) == []
    assert verify.expected_hashes().keys() == {file.name for file in checkpoint.glob("*.py")}


def test_hashes_are_those_of_sha256sum(verify, repository):
    file = repository / "processing_minimonkey" / "image_processing_minimonkey.py"
    output = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout
    assert verify.expected_hashes()[file.name] == output.split()[0]


def test_a_folder_without_code_is_no_danger(verify, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert verify.differences(tmp_path) == []


def append(file: str):
    return lambda folder: (folder / file).write_text((folder / file).read_text() + "#")


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
            "config.json: is not JSON",
        ),
    ],
)
def test_other_code_is_named(verify, folder, tried, change, words):
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
