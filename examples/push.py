"""Push a trained folder to the Hub: weights, code, processor and a model card, and nothing else.

    python examples/push.py runs/mine you/mini-monkey-receipts --base-model mx262/MiniMonkey --private

The card is the folder's README.md, or one made from its files (`cards.py`); a license is needed. Everything goes into
one commit: an interrupted push changes nothing. Optimizer states, pickles and checkpoints of the training are not
uploaded. A folder whose text files hold an access token or a path of this machine is refused.
"""

import argparse
import re
import sys
from pathlib import Path

from cards import make_card
from huggingface_hub import HfApi
from safetensors import SafetensorError, safe_open


PUSHED = ["*.safetensors", "*.json", "*.jinja", "*.py", "*.model", "README.md", "loss.png"]
LEFT_OUT = ["run.json", "trainer_state.json", "all_results.json", "checkpoint-*/*", "original/*"]
NEEDED = ["config.json", "model*.safetensors", "processor_config.json", "chat_template.jinja", "modeling_*.py"]
NOT_TO_BE_SEEN = {
    "an access token": r"\bhf_[A-Za-z0-9]{20,}\b",
    "a path of this machine": r"(?<![\w/.:])/(?:home|root|Users|tmp|mnt|data|content|workspace)/[\w./-]+|\b[A-Z]:\\\\",
}


def files_to_push(folder: Path) -> list[Path]:
    """The files to upload."""
    found = {path for pattern in PUSHED for path in folder.glob(pattern)}
    return sorted(path for path in found if path.name not in LEFT_OUT)


def merge_command(adapter: Path | str) -> str:
    return f"python examples/merge.py {adapter} {adapter}-merged"


def check_whole(folder: Path) -> None:
    """Raise `ValueError` if the folder holds an adapter alone."""
    if (folder / "adapter_config.json").exists():
        raise ValueError(f"{folder} holds an adapter alone. Merge it first: {merge_command(folder)}")


def check_folder(folder: Path) -> None:
    """
    Refuse what can't be loaded, or shouldn't be seen, once it is public.

    Raises:
        ValueError: the folder lacks a file, holds an adapter alone, a file holds a token or a local path, or weights
            are cut off.
    """
    check_whole(folder)
    missing = [pattern for pattern in NEEDED if not list(folder.glob(pattern))]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}; save model and processor there.")
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise ValueError(f"{path.name} is damaged, perhaps cut off: {error}; save the model again.") from error
    for path in files_to_push(folder):
        if path.suffix in (".json", ".jinja", ".py", ".md") and path.name != "tokenizer.json":
            text = path.read_text(encoding="utf-8")
            for what, pattern in NOT_TO_BE_SEEN.items():
                if match := re.search(pattern, text):
                    raise ValueError(f"{path.name} holds {what}: {match[0]!r}.")


def push(
    folder: Path,
    repository: str,
    *,
    base_model: str | None = None,
    license: str | None = None,
    private: bool | None = False,
    token: str | None = None,
) -> str:
    """Check the folder, write its card, and upload it in one commit; returns the commit's hash."""
    check_folder(folder)
    api = HfApi(token=token)
    card = make_card(folder, repository, base_model, license)
    api.create_repo(repository, private=private, exist_ok=True)
    card.validate()
    card.save(folder / "README.md")
    names = [path.name for path in files_to_push(folder)]
    commit = api.upload_folder(
        repo_id=repository, folder_path=folder, allow_patterns=names, commit_message="Upload Mini-Monkey"
    )
    return commit.oid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("repository", help="user/name")
    parser.add_argument("--base-model", help="Hub id of what was fine-tuned or converted")
    parser.add_argument("--license", help="as the Hub writes it; the base model's binds you, too")
    parser.add_argument("--private", action="store_true")
    options = vars(parser.parse_args())
    try:
        print(push(options.pop("folder"), options.pop("repository"), **options))
    except (OSError, ValueError) as error:  # the folder, the card or the Hub: the message says what is wrong
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
