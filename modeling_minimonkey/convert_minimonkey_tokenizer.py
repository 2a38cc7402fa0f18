"""Load the tokenizer of an original `internvl_chat` checkpoint as a fast tokenizer that this project can save.

The original folders hold slow tokenizers whose classes are remote code. The ids are what the weights were trained
with, so every id has to survive: ordinary text, added tokens, bytes outside the vocabulary.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, decoders, normalizers
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer, TokenizersBackend
from transformers.convert_slow_tokenizer import SentencePieceExtractor


# The names under which InternVL's processors look up the tokens that surround and stand for an image.
IMAGE_TOKENS = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}


def load_sentencepiece_tokenizer(folder: Path, **kwargs) -> TokenizersBackend:
    """
    Build a BPE tokenizer from `tokenizer.model` and the added tokens of `tokenizer_config.json`.

    The library builds the vocabulary, merges and byte fallback, and gives unused pieces the names that
    `added_tokens_decoder` has for their ids. It leaves out what the slow tokenizers do around that: the beginning of
    sequence token and the whitespace rules of the file's `normalizer_spec`.
    """
    rules = SentencePieceExtractor(str(folder / "tokenizer.model")).proto.normalizer_spec
    # The published code uses the slow tokenizers, so a `tokenizer.json` beside them, which would win, is left alone.
    tokenizer = TokenizersBackend.from_pretrained(folder, add_bos_token=True, tokenizer_file="", **kwargs)
    backend = tokenizer.backend_tokenizer
    steps = [backend.normalizer]  # turns spaces into "▁"
    if rules.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r"\A▁+|▁+\z"), ""), normalizers.Replace(Regex("▁{2,}"), "▁")]
    if rules.add_dummy_prefix:
        # Once per run of text between added tokens, as the slow tokenizers call SentencePiece on each run.
        steps.append(normalizers.Prepend("▁"))
        backend.decoder = decoders.Sequence([backend.decoder, decoders.Strip(" ", left=1, right=0)])
    backend.normalizer = normalizers.Sequence(steps)
    return tokenizer


def load_byte_level_tokenizer(folder: Path, **kwargs) -> Qwen2Tokenizer:
    """Load Qwen2's tokenizer, which is fast already, from `vocab.json` and `merges.txt`."""
    return Qwen2Tokenizer.from_pretrained(folder, **kwargs)


# The first file that is there decides.
TOKENIZER_LOADERS = {"tokenizer.model": load_sentencepiece_tokenizer, "vocab.json": load_byte_level_tokenizer}


def load_original_tokenizer(
    folder: str | Path, vocab_size: int | None = None, needed_tokens: Sequence[str] = ()
) -> PreTrainedTokenizerBase:
    """
    Load the tokenizer of an original checkpoint: same ids as the published tokenizer, padding on the left, image
    tokens under the names `start_image_token`, `end_image_token` and `context_image_token`, no remote code.

    Args:
        folder (`str` or `Path`):
            Folder with `tokenizer_config.json` and either `tokenizer.model` (InternLM2; needs the packages
            `sentencepiece` and `protobuf`) or `vocab.json` and `merges.txt` (Qwen2).
        vocab_size (`int`, *optional*):
            Rows of the model's embedding; every token id must be below it.
        needed_tokens (`Sequence[str]`, *optional*):
            Tokens that must be there beside those of images.

    Raises:
        FileNotFoundError: the folder has no vocabulary that is understood.
        ValueError: an added token gets another id than the checkpoint says, a needed token is missing, or an id has no
            row in the embedding.
    """
    folder = Path(folder)
    loader = next((load for name, load in TOKENIZER_LOADERS.items() if (folder / name).is_file()), None)
    if loader is None:
        raise FileNotFoundError(f"`source` {folder} has no tokenizer; it needs one of {list(TOKENIZER_LOADERS)}.")

    tokenizer = loader(folder, padding_side="left", **IMAGE_TOKENS)
    # It names the published tokenizer's remote code, which ours has no use for.
    tokenizer.init_kwargs.pop("auto_map", None)
    _check_ids(tokenizer, _read_added_tokens(folder), vocab_size, [*IMAGE_TOKENS.values(), *needed_tokens])
    return tokenizer


def _read_added_tokens(folder: Path) -> dict[str, int]:
    """Read the added tokens of an original folder, token -> id."""
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return {token["content"]: int(index) for index, token in config.get("added_tokens_decoder", {}).items()}


def _check_ids(
    tokenizer: PreTrainedTokenizerBase,
    added_tokens: dict[str, int],
    vocab_size: int | None,
    needed_tokens: Sequence[str],
) -> None:
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in needed_tokens if token not in added_tokens]
    if missing:
        raise ValueError(f"`source` has a tokenizer whose `added_tokens_decoder` lacks {missing}.")
    moved = {token: (vocabulary.get(token), index) for token, index in added_tokens.items()}
    moved = {token: ids for token, ids in moved.items() if ids[0] != ids[1]}
    if moved:
        raise ValueError(f"`source` has added tokens that can't keep their ids, token: (got, expected): {moved}.")
    last = max(vocabulary.values())
    if vocab_size is not None and last >= vocab_size:
        raise ValueError(f"`source` has token ids up to {last}, but an embedding of {vocab_size} rows.")
