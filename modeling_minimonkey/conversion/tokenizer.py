"""Load the tokenizer of an original `internvl_chat` checkpoint as a fast tokenizer that this project can save.

The original folders hold slow tokenizers whose classes are remote code. The weights were trained with their ids, so
every id has to stay the same: of ordinary text, added tokens, and bytes outside the vocabulary.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer, TokenizersBackend
from transformers.utils import logging

from .weight_files import check_no_pointer, read_json


logger = logging.get_logger(__name__)

# The names under which InternVL's processors look up the tokens that surround and stand for an image.
# `image_token` is the library's name of the last one in most other models.
IMAGE_TOKENS = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
IMAGE_TOKENS |= {"image_token": IMAGE_TOKENS["context_image_token"]}
# Settings that the published tokenizers with SentencePiece have by default.
DEFAULTS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
DEFAULTS |= {"add_bos_token": True, "add_eos_token": False}
# Texts on which tokenizers differ most easily: spaces, what looks like a space or a byte, what has no piece.
EDGE_STRINGS = ["", " ", "   ", "▁", " ▁", "a", " a", "a  b ", "\n", "\n\n ", "\t", "\u00a0\u3000", "<0x0A>"]
EDGE_STRINGS += ["0123 x_1", "猕猴，今天 ", "e\u0301 é", "👩\u200d👧❤️ ", "\U00020000", "עברית ไทย"]


def load_sentencepiece_tokenizer(folder: Path, **kwargs) -> TokenizersBackend:
    """
    Build a BPE tokenizer from `tokenizer.model` and the added tokens of `tokenizer_config.json`.

    It is built from scratch, because what the library makes of a `tokenizer.model` differs from release to release.
    Pieces get the names that `added_tokens_decoder` has for their ids. Whitespace follows the file's
    `normalizer_spec`, or `LlamaTokenizer`'s own rules if `legacy` is false.
    """
    config, once, model = _read_config(folder), _has_prefix_once(folder), _read_model(folder)
    added_tokens = _read_added_tokens(folder)
    user_defined = [each.piece for each in model.pieces if each.type == each.USER_DEFINED]
    user_defined = [piece for piece in user_defined if piece not in added_tokens]
    _check_rules(model, once, user_defined)
    backend = Tokenizer(_bpe(model, added_tokens))
    backend.normalizer = _normalizer(model.normalizer_spec, once)
    if once:
        # Once per text, unless it begins with an added token or a "▁", see `published_prefix`. The first step puts a
        # space before text that does not begin with one: by then spaces are "▁", only a leading "▁" of the text has
        # become a space.
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(" ", prepend_scheme="first", split=False),
                pre_tokenizers.Metaspace("▁", prepend_scheme="never", split=False),
            ]
        )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.normalizer_spec.add_dummy_prefix or once:
        steps.append(decoders.Strip(" ", left=1, right=0))
    backend.decoder = decoders.Sequence(steps)
    # SentencePiece never splits these pieces.
    backend.add_tokens([AddedToken(piece, normalized=False) for piece in user_defined])
    settings = DEFAULTS | {name: config[name] for name in DEFAULTS if name in config}
    # The slow tokenizers find added tokens in the raw text, whatever `normalized` says.
    decoder = {index: token | {"normalized": False} for index, token in config.get("added_tokens_decoder", {}).items()}
    # Read no file: the slow tokenizers also ignore a `tokenizer.json` beside `tokenizer.model`.
    settings |= {"added_tokens_decoder": decoder, "tokenizer_file": "", "vocab_file": ""}
    return TokenizersBackend.from_pretrained(folder, tokenizer_object=backend, **settings, **kwargs)


def _read_model(folder: Path):
    try:  # imported here, since only these checkpoints need it
        from sentencepiece.sentencepiece_model_pb2 import ModelProto
    except ImportError as error:
        raise ImportError(
            f"Reading tokenizer.model needs the packages `sentencepiece` and `protobuf` (`.[convert]`): {error}"
        ) from error
    return ModelProto.FromString((folder / "tokenizer.model").read_bytes())


def _bpe(model, added_tokens: dict[str, int]) -> models.BPE:
    """Merge as SentencePiece does: of all neighbors that form a piece, those whose piece has the best score."""
    names = {index: token for token, index in added_tokens.items()}
    tokens = [names.get(index, each.piece) for index, each in enumerate(model.pieces)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        raise ValueError("`added_tokens_decoder` gives an id the name of a piece that has another id")
    ranks = {
        each.piece: (-each.score, index)
        for index, each in enumerate(model.pieces)
        if each.type == each.NORMAL and each.piece in vocabulary
    }
    pairs = [
        (rank, cut, piece[:cut], piece[cut:])
        for piece, rank in ranks.items()
        for cut in range(1, len(piece))
        if piece[:cut] in ranks and piece[cut:] in ranks
    ]
    return models.BPE(
        vocabulary,
        [(left, right) for _, _, left, right in sorted(pairs)],
        unk_token=tokens[model.trainer_spec.unk_id],
        fuse_unk=True,
        byte_fallback=model.trainer_spec.byte_fallback,
    )


def _normalizer(rules, once: bool) -> normalizers.Normalizer:
    """Whitespace as a `NormalizerSpec` asks for, in SentencePiece's order."""
    steps = [normalizers.Precompiled(rules.precompiled_charsmap)] if rules.precompiled_charsmap else []
    if once:
        mark = "\ufdd0"  # occurs in no text
        steps = [normalizers.Replace(Regex(r"\A▁"), mark), *steps]
        return normalizers.Sequence([*steps, normalizers.Replace(" ", "▁"), normalizers.Replace(mark, " ")])
    if rules.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r"\A +"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    steps.append(normalizers.Replace(" ", "▁"))
    if rules.add_dummy_prefix:
        # Once per run of text between added tokens, as the slow tokenizers call SentencePiece on each run.
        steps.append(normalizers.Prepend("▁"))
    if rules.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(r"▁+\z"), ""))
    return normalizers.Sequence(steps)


def _check_rules(model, once: bool, user_defined: list[str]) -> None:
    """Refuse a `ModelProto` with rules that a fast tokenizer can't follow, some of them without an error."""
    rules, kind = model.normalizer_spec, model.trainer_spec
    # A fast tokenizer treats these pieces as added tokens, so that text between two of them is a text of its own.
    has_spaces = any(" " in piece or "▁" in piece for piece in user_defined)
    trims = rules.remove_extra_whitespaces or (rules.add_dummy_prefix and not once)
    unlike = {
        "a `model_type` other than BPE": kind.model_type != kind.BPE,
        "`treat_whitespace_as_suffix` true": kind.treat_whitespace_as_suffix,
        "`escape_whitespaces` false": not rules.escape_whitespaces,
        "`remove_extra_whitespaces` true where `legacy` is false": once and rules.remove_extra_whitespaces,
        f"spaces in user-defined pieces ({user_defined[:3]}) or rules for those beside them": has_spaces
        or (user_defined and trims),
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
    The prefix, nothing or a "▁", that a text that begins with `token` needs to get the ids of the published tokenizer.
    `LlamaTokenizer` with `legacy` false puts a "▁" before every text, and removes it only before tokens that
    tokenizer_config.json names as special. A fast tokenizer by itself can't put it before an added token.
    """
    if not _has_prefix_once(folder) or token not in _read_added_tokens(folder):
        return ""
    return "" if token in _special_tokens(_read_config(folder)) else "▁"


def _special_tokens(config: dict) -> set[str]:
    named = [config.get(f"{name}_token") for name in ("bos", "eos", "unk", "pad")]
    named += config.get("additional_special_tokens", [])
    return {_content(token) for token in named if token is not None}


def _content(token: str | dict) -> str:
    return token["content"] if isinstance(token, dict) else token


def load_byte_level_tokenizer(folder: Path, **kwargs) -> Qwen2Tokenizer:
    """
    Load Qwen2's tokenizer, which is fast already, from `vocab.json` and `merges.txt`. It finds added tokens before it
    composes characters, the slow one afterwards: the ids differ where a "\u0338" follows a ">" that ends such a token.
    """
    if not (folder / "merges.txt").is_file():
        raise FileNotFoundError(f"`source` {folder} has vocab.json, but no merges.txt.")
    lines = (folder / "merges.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    merged = {line.replace(" ", "") for line in lines} | _read_added_tokens(folder).keys()
    # A truncated file, even if it ends within a character, can be read, but gives other ids.
    lost = [piece for piece in read_json(folder / "vocab.json") if len(piece) > 1 and piece not in merged]
    if lost:
        raise ValueError(f"merges.txt lacks the merges of {len(lost)} pieces of vocab.json, the first is {lost[0]!r}")
    return Qwen2Tokenizer.from_pretrained(folder, **kwargs)


def load_fast_tokenizer(folder: Path, **kwargs) -> TokenizersBackend:
    """Load Llama 3's tokenizer, which was published as `tokenizer.json` alone."""
    return TokenizersBackend.from_pretrained(folder, **kwargs)


# The first of these files that exists decides.
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
            Tokens that must exist besides those of images.

    Raises:
        FileNotFoundError: the folder has no supported vocabulary, or no tokenizer_config.json.
        ValueError: a file is damaged or has rules that a fast tokenizer can't follow, an added token gets another id
            than in the checkpoint, a needed token is missing, or an id has no row in the embedding.
    """
    folder = Path(folder)
    name = next((name for name in TOKENIZER_LOADERS if (folder / name).is_file()), None)
    if name is None:
        raise FileNotFoundError(f"`source` {folder} has no tokenizer; it needs one of {list(TOKENIZER_LOADERS)}.")

    for file_name in (*TOKENIZER_LOADERS, "merges.txt"):
        if (folder / file_name).is_file():
            check_no_pointer(folder / file_name)
    added_tokens = _read_added_tokens(folder)
    try:
        tokenizer = TOKENIZER_LOADERS[name](folder, padding_side="left", **IMAGE_TOKENS)
    except (ImportError, FileNotFoundError):
        raise
    except Exception as error:  # the libraries raise bare exceptions for damaged files
        raise ValueError(
            f"`source` {folder} has a tokenizer, {name}, that can't be converted: {str(error)[:300]}"
        ) from error
    # The language model's own, without images and without the published system message.
    tokenizer.chat_template = None
    # It names the published tokenizer's remote code, which is not used.
    tokenizer.init_kwargs.pop("auto_map", None)
    _check_ids(tokenizer, added_tokens, vocab_size, list(dict.fromkeys([*IMAGE_TOKENS.values(), *needed_tokens])))
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
        first = dict(list(moved.items())[:5])
        raise ValueError(f"`source` has added tokens that can't keep their ids, token: (got, expected): {first}.")
    last = max(vocabulary.values())
    if vocab_size is not None and last >= vocab_size:
        raise ValueError(f"`source` has token ids up to {last}, but an embedding of {vocab_size} rows.")


def check_ids(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """
    Compare a converted tokenizer with a second implementation of the original: SentencePiece itself for
    `tokenizer.model`, the file as `tokenizers` reads it for `tokenizer.json`. `vocab.json` has none here and is not
    compared. The texts are `EDGE_STRINGS`, alone and around each added token, without those that
    [`PublishedTokenizer.is_beyond_a_fast_tokenizer`] describes.

    Args:
        tokenizer (`PreTrainedTokenizerBase`):
            The converted tokenizer, preferably after saving and loading.
        folder (`Path`):
            The original folder.

    Raises:
        RuntimeError: names the first text whose ids differ, and both lists of ids.
    """
    texts = EDGE_STRINGS + [text + token + text for token in _read_added_tokens(folder) for text in EDGE_STRINGS]
    name = next(name for name in TOKENIZER_LOADERS if (folder / name).is_file())
    if name == "tokenizer.model":
        published = PublishedTokenizer(folder)
        expected = {text: published.ids(text) for text in texts if not published.is_beyond_a_fast_tokenizer(text)}
    elif name == "tokenizer.json":
        published = Tokenizer.from_file(str(folder / name))
        expected = {text: published.encode(text).ids for text in texts}
    else:
        return
    for text, ids in expected.items():
        got = tokenizer(text)["input_ids"]
        if got != ids:
            raise RuntimeError(f"The converted tokenizer gives {text!r} the ids {got}, that of `source` {ids}.")


class PublishedTokenizer:
    """
    What the published slow tokenizers, `InternLM2Tokenizer` and `LlamaTokenizer`, do: SentencePiece itself, called on
    each run of text between added tokens. It shares no step with the tokenizer that is built above.

    Args:
        folder (`Path`):
            Folder with `tokenizer.model` and `tokenizer_config.json`.
    """

    def __init__(self, folder: Path):
        from sentencepiece import SentencePieceProcessor

        self.config, self.once, model = DEFAULTS | _read_config(folder), _has_prefix_once(folder), _read_model(folder)
        if self.once:
            model.normalizer_spec.add_dummy_prefix = False
        self.user_defined = [each.piece for each in model.pieces if each.type == each.USER_DEFINED]
        self.model = SentencePieceProcessor(model_proto=model.SerializeToString())
        self.unknown = len(self.model.encode("<unk>"))
        self.special = _special_tokens(self.config)
        self.added = {token: (self.model.piece_to_id(token), {}) for token in self.special}
        self.added |= {token["content"]: (int(i), token) for i, token in self.config["added_tokens_decoder"].items()}
        by_length = sorted(self.added, key=len, reverse=True)
        self.split = re.compile(f"({'|'.join(map(re.escape, by_length))})")

    @property
    def beginnings(self) -> list[str]:
        """The tokens that get a "▁" before them at the beginning of a text."""
        return [token for token in (*self.added, *self.user_defined) if self.once and token not in self.special]

    def is_beyond_a_fast_tokenizer(self, text: str) -> bool:
        """With `legacy` false, whether one of `beginnings` or a "▁" begins the text, or a token swallows a "▁"."""
        swallows = [re.escape(content) for content, (_, token) in self.added.items() if token.get("rstrip")]
        swallowed = bool(swallows) and re.search(rf"(?:{'|'.join(swallows)})\s*▁", text) is not None
        return self.once and (text.startswith(("▁", *self.beginnings)) or swallowed)

    def ids(self, text: str) -> list[int]:
        if self.once and text:
            text = "▁" + text.replace("▁", " ")
        runs = self.split.split(text)  # texts at even places, added tokens between them
        for place in range(1, len(runs), 2):
            _, token = self.added[runs[place]]
            if token.get("rstrip"):
                runs[place + 1] = runs[place + 1].lstrip()
            if token.get("lstrip"):
                runs[place - 1] = runs[place - 1].rstrip()
        if self.once and len(runs) > 1 and runs[0] == "▁" and runs[1] in self.special:
            runs[0] = ""
        ids = self._id_of("bos") if self.config["add_bos_token"] else []
        for place, run in enumerate(runs):
            ids += [self.added[run][0]] if place % 2 else self._encode(run)
        return ids + (self._id_of("eos") if self.config["add_eos_token"] else [])

    def _id_of(self, name: str) -> list[int]:
        return [self.added[_content(self.config[f"{name}_token"])][0]]

    def _encode(self, run: str) -> list[int]:
        if self.once and run.startswith(("▁", " ")):
            return self.model.encode("<unk>" + run)[self.unknown :]
        return self.model.encode(run)
