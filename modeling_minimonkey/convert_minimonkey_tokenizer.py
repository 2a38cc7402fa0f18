"""Load the tokenizer of an original `internvl_chat` checkpoint as a fast tokenizer that this project can save.

The original folders hold slow tokenizers whose classes are remote code. The ids are what the weights were trained
with, so every id has to survive: ordinary text, added tokens, bytes outside the vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, decoders, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer, TokenizersBackend
from transformers.convert_slow_tokenizer import SentencePieceExtractor
from transformers.utils import logging

from .convert_minimonkey_files import read_json


logger = logging.get_logger(__name__)

# The names under which InternVL's processors look up the tokens that surround and stand for an image.
IMAGE_TOKENS = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}


def load_sentencepiece_tokenizer(folder: Path, **kwargs) -> TokenizersBackend:
    """
    Build a BPE tokenizer from `tokenizer.model` and the added tokens of `tokenizer_config.json`.

    The library builds the vocabulary, merges and byte fallback, and gives unused pieces the names that
    `added_tokens_decoder` has for their ids. It leaves out what the slow tokenizers do around that: the tokens at both
    ends and the whitespace rules, which are those of the file's `normalizer_spec`, or `LlamaTokenizer`'s own where
    `legacy` is false.
    """
    config, once = _read_config(folder), _has_prefix_once(folder)
    model = SentencePieceExtractor(str(folder / "tokenizer.model")).proto
    rules = model.normalizer_spec
    _check_rules(model, once)
    ends = {"add_bos_token": config.get("add_bos_token", True), "add_eos_token": config.get("add_eos_token", False)}
    # The published code uses the slow tokenizers, so a `tokenizer.json` beside them, which would win, is left alone.
    tokenizer = TokenizersBackend.from_pretrained(folder, tokenizer_file="", **ends, **kwargs)
    backend = tokenizer.backend_tokenizer
    steps = [backend.normalizer]  # turns spaces into "▁"
    if rules.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r"\A▁+|▁+\z"), ""), normalizers.Replace(Regex("▁{2,}"), "▁")]
    if rules.add_dummy_prefix and not once:
        # Once per run of text between added tokens, as the slow tokenizers call SentencePiece on each run.
        steps.append(normalizers.Prepend("▁"))
    if once:
        # Once per text, if it does not begin with an added token or a "▁", see `published_prefix`. The first step puts
        # a space before what does not begin with one: spaces are "▁" by then, only a "▁" of the text is made a space.
        mark = "\ufdd0"  # stands in no text
        steps = [normalizers.Replace(Regex(r"\A▁"), mark), *steps, normalizers.Replace(mark, " ")]
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(" ", prepend_scheme="first", split=False),
                pre_tokenizers.Metaspace("▁", prepend_scheme="never", split=False),
            ]
        )
    if rules.add_dummy_prefix or once:
        backend.decoder = decoders.Sequence([backend.decoder, decoders.Strip(" ", left=1, right=0)])
    backend.normalizer = normalizers.Sequence(steps)
    return tokenizer


def _check_rules(model, once: bool) -> None:
    """Refuse what a fast tokenizer can't do, in a `ModelProto`: some of it would give other ids without an error."""
    rules, kind = model.normalizer_spec, model.trainer_spec
    unlike = {
        "a `model_type` other than BPE": kind.model_type != kind.BPE,
        "`treat_whitespace_as_suffix` true": kind.treat_whitespace_as_suffix,
        "`escape_whitespaces` false": not rules.escape_whitespaces,
        "`remove_extra_whitespaces` true where `legacy` is false": once and rules.remove_extra_whitespaces,
    }
    found = [name for name, is_found in unlike.items() if is_found]
    if found:
        raise ValueError(f"{', '.join(found)}: a fast tokenizer can't follow that")
    if rules.precompiled_charsmap:
        # `normalizers.Precompiled` loses combining characters: https://github.com/huggingface/tokenizers/issues/2334
        logger.warning(
            f"tokenizer.model has the normalization {rules.name!r} instead of 'identity'. It is followed, but text "
            "with combining characters may get other ids than those of the published tokenizer."
        )


def _has_prefix_once(folder: Path) -> bool:
    config = _read_config(folder)
    return config.get("tokenizer_class") in ("LlamaTokenizer", "LlamaTokenizerFast") and config.get("legacy") is False


def published_prefix(folder: Path, token: str) -> str:
    """
    What has to stand before a text that begins with `token` to get the ids of the published tokenizer: nothing, or a
    "▁". `LlamaTokenizer` with `legacy` false puts one before every text and takes it away again only before the tokens
    that tokenizer_config.json names as special. A fast tokenizer can't put it before an added token by itself.
    """
    config = _read_config(folder)
    if not _has_prefix_once(folder) or token not in _read_added_tokens(folder):
        return ""
    named = [config.get(f"{name}_token") for name in ("bos", "eos", "unk", "pad")]
    named += config.get("additional_special_tokens", [])
    contents = [each["content"] if isinstance(each, dict) else each for each in named]
    return "" if token in contents else "▁"


def load_byte_level_tokenizer(folder: Path, **kwargs) -> Qwen2Tokenizer:
    """
    Load Qwen2's tokenizer, which is fast already, from `vocab.json` and `merges.txt`. It finds added tokens before it
    composes characters, the slow one afterwards: the ids differ where a "\u0338" follows a ">" that ends such a token.
    """
    if not (folder / "merges.txt").is_file():
        raise FileNotFoundError(f"`source` {folder} has vocab.json, but no merges.txt.")
    lines = (folder / "merges.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    merged = {line.replace(" ", "") for line in lines} | _read_added_tokens(folder).keys()
    # A file that ends early, even amid a character, can be read, but gives other ids.
    lost = [piece for piece in read_json(folder / "vocab.json") if len(piece) > 1 and piece not in merged]
    if lost:
        raise ValueError(f"merges.txt lacks the merges of {len(lost)} pieces of vocab.json, the first is {lost[0]!r}")
    return Qwen2Tokenizer.from_pretrained(folder, **kwargs)


def load_fast_tokenizer(folder: Path, **kwargs) -> TokenizersBackend:
    """Load Llama 3's tokenizer, which was published as `tokenizer.json` alone."""
    return TokenizersBackend.from_pretrained(folder, **kwargs)


# The first file that is there decides.
TOKENIZER_LOADERS = {
    "tokenizer.model": load_sentencepiece_tokenizer,
    "vocab.json": load_byte_level_tokenizer,
    "tokenizer.json": load_fast_tokenizer,
}


def load_original_tokenizer(
    folder: str | Path, vocab_size: int | None = None, needed_tokens: Sequence[str] = ()
) -> PreTrainedTokenizerBase:
    """
    Load the tokenizer of an original checkpoint: same ids as the published tokenizer, padding on the left, image
    tokens under the names `start_image_token`, `end_image_token` and `context_image_token`, no remote code.

    Args:
        folder (`str` or `Path`):
            Folder with `tokenizer_config.json` and either `tokenizer.model` (InternLM2, Phi-3, Yi; needs the packages
            `sentencepiece` and `protobuf`), `vocab.json` and `merges.txt` (Qwen2) or `tokenizer.json` (Llama 3).
        vocab_size (`int`, *optional*):
            Rows of the model's embedding; every token id must be below it.
        needed_tokens (`Sequence[str]`, *optional*):
            Tokens that must be there beside those of images.

    Raises:
        FileNotFoundError: the folder has no vocabulary that is understood, or no tokenizer_config.json.
        ValueError: a file is damaged, has rules that a fast tokenizer can't follow, an added token gets another id
            than the checkpoint says, a needed token is missing, or an id has no row in the embedding.
    """
    folder = Path(folder)
    name = next((name for name in TOKENIZER_LOADERS if (folder / name).is_file()), None)
    if name is None:
        raise FileNotFoundError(f"`source` {folder} has no tokenizer; it needs one of {list(TOKENIZER_LOADERS)}.")

    added_tokens = _read_added_tokens(folder)
    try:
        tokenizer = TOKENIZER_LOADERS[name](folder, padding_side="left", **IMAGE_TOKENS)
    except (ImportError, FileNotFoundError):
        raise
    except Exception as error:  # the libraries raise bare exceptions for damaged files
        raise ValueError(f"`source` {folder} has a tokenizer, {name}, that can't be converted: {error}") from error
    # That of the language model, which knows neither images nor the published system message.
    tokenizer.chat_template = None
    # It names the published tokenizer's remote code, which ours has no use for.
    tokenizer.init_kwargs.pop("auto_map", None)
    _check_ids(tokenizer, added_tokens, vocab_size, [*IMAGE_TOKENS.values(), *needed_tokens])
    return tokenizer


def _read_config(folder: Path) -> dict:
    if not (folder / "tokenizer_config.json").is_file():
        raise FileNotFoundError(f"`source` {folder} has no tokenizer_config.json.")
    return read_json(folder / "tokenizer_config.json")


def _read_added_tokens(folder: Path) -> dict[str, int]:
    """Read the added tokens of an original folder, token -> id."""
    decoder = _read_config(folder).get("added_tokens_decoder", {})
    try:
        return {token["content"]: int(index) for index, token in decoder.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"`source` {folder} has a tokenizer_config.json whose `added_tokens_decoder` is not a mapping of ids to "
            f"tokens with `content`: {error!r}."
        ) from error


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
