"""
The tokenizer files that original checkpoints have, with small vocabularies, and the ids that Qwen2's published
tokenizer gives: byte pairs merged naively. Those of SentencePiece are the converter's `PublishedTokenizer`'s.
"""

import functools
import io
import json
import re
import shutil
import unicodedata
from pathlib import Path

import regex
import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers


GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "model"
IMAGE_TOKENS = ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
TURNS = ["<|im_start|>", "<|im_end|>"]
# The tokens that Phi-3 adds to Llama's vocabulary. All but the first swallow the whitespace that follows them.
PHI3_TOKENS = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|system|>", "<|end|>", "<|user|>"]
# What SentencePiece learns whole, as Yi does, so that it is no added token.
YI_SYMBOLS = ["<|im_start|>", "<|im_end|>", "<fim_prefix>"]

LEGACY = {"phi3": False, "llama": True}


def write_tokenizer(folder: Path, family: str) -> int:
    """Write the files of one family's tokenizer and return how many rows its embedding needs."""
    folder.mkdir(parents=True, exist_ok=True)
    if family in ("internlm2", "qwen2"):
        for pattern in ("*token*", "vocab.json", "merges.txt"):
            for path in (GOLDEN / family / "checkpoint").glob(pattern):
                shutil.copy(path, folder)
        decoder = json.loads((folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
        return 1 + max(map(int, decoder))
    return {"phi3": _write_phi3, "llama": _write_yi, "llama3": _write_llama3}[family](folder)


@functools.cache
def corpus() -> list[str]:
    lines = (GOLDEN / "qwen2" / "cases.json").read_text(encoding="utf-8").split("\n")
    return lines + ["the quick brown fox 0123456789 jumps over the lazy dog", "猕猴看图说话，今天天气很好。"] * 20


@functools.cache
def sentencepiece_model(**options) -> bytes:
    model = io.BytesIO()
    defaults = {"vocab_size": 420, "normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    defaults |= {"model_type": "bpe", "byte_fallback": True}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        minloglevel=2,
        **(defaults | options),
    )
    return model.getvalue()


def write_added_tokens(folder: Path, tokens: dict[int, str | dict], **config) -> None:
    """Write tokenizer_config.json with `added_tokens_decoder`: ids -> contents, or all fields that are not usual."""
    usual = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    tokens = {index: token if isinstance(token, dict) else {"content": token} for index, token in tokens.items()}
    decoder = {str(index): usual | token for index, token in tokens.items()}
    defaults = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    defaults["chat_template"] = "{{ 'That of the language model, without images.' }}"
    config = defaults | {"added_tokens_decoder": decoder} | config
    special = [name for name in ("bos_token", "eos_token", "pad_token", "unk_token") if config[name]]
    special_tokens_map = {name: _without_special(decoder, config[name]) for name in special}
    special_tokens_map["additional_special_tokens"] = config.get("additional_special_tokens", [])
    added_tokens = {token["content"]: int(index) for index, token in decoder.items()}
    # The last two say the same again, as published folders do.
    for name, content in {
        "tokenizer_config.json": config,
        "special_tokens_map.json": special_tokens_map,
        "added_tokens.json": added_tokens,
    }.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _without_special(decoder: dict[str, dict], content: str) -> dict | str:
    fields = next((token for token in decoder.values() if token["content"] == content), None)
    return {name: value for name, value in fields.items() if name != "special"} if fields else content


def _write_phi3(folder: Path) -> int:
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(add_dummy_prefix=True))
    tokens = dict(enumerate(["<unk>", "<s>", {"content": "</s>", "rstrip": True, "special": False}]))
    turns = [{"content": token, "rstrip": token != "<|endoftext|>"} for token in PHI3_TOKENS]
    tokens |= dict(enumerate([*turns, *IMAGE_TOKENS], start=420))
    write_added_tokens(
        folder,
        tokens,
        tokenizer_class="LlamaTokenizer",
        legacy=LEGACY["phi3"],
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=IMAGE_TOKENS,
    )
    return 1 + max(tokens)


def _write_yi(folder: Path) -> int:
    options = {"add_dummy_prefix": False, "bos_piece": "<|startoftext|>", "eos_piece": "<|endoftext|>"}
    (folder / "tokenizer.model").write_bytes(sentencepiece_model(user_defined_symbols=",".join(YI_SYMBOLS), **options))
    tokens = dict(enumerate(["<unk>", "<|startoftext|>", "<|endoftext|>", *TURNS]))
    tokens |= dict(enumerate(IMAGE_TOKENS, start=420))
    write_added_tokens(
        folder,
        tokens,
        tokenizer_class="LlamaTokenizer",
        legacy=LEGACY["llama"],
        add_bos_token=False,
        bos_token="<|startoftext|>",
        eos_token="<|im_end|>",
        pad_token="<unk>",
        additional_special_tokens=IMAGE_TOKENS,
    )
    return 1 + max(tokens)


def _write_llama3(folder: Path) -> int:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin_of_text|>", "<|end_of_text|>", *TURNS, *IMAGE_TOKENS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens(special)
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    write_added_tokens(
        folder,
        {tokenizer.token_to_id(token): token for token in special},
        tokenizer_class="PreTrainedTokenizerFast",
        bos_token="<|begin_of_text|>",
        eos_token="<|im_end|>",
        pad_token="<|end_of_text|>",
        unk_token=None,
    )
    return tokenizer.get_vocab_size()


# How Qwen2 cuts a text before it merges bytes, as its configuration says.
QWEN2_PATTERN = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class PublishedByteLevelTokenizer:
    """What `Qwen2Tokenizer`, the slow one, makes of a text."""

    def __init__(self, folder: Path):
        self.vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        merges = (folder / "merges.txt").read_text(encoding="utf-8").strip().split("\n")
        pairs = [tuple(line.split(" ")) for line in merges if not line.startswith("#version")]
        self.ranks = {pair: rank for rank, pair in enumerate(pairs)}
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.added = {token["content"]: int(i) for i, token in config["added_tokens_decoder"].items()}
        self.split = re.compile(f"({'|'.join(map(re.escape, sorted(self.added, key=len, reverse=True)))})")
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in printable]
        self.letters = {byte: chr(byte) for byte in printable}
        self.letters |= {byte: chr(256 + place) for place, byte in enumerate(others)}

    def ids(self, text: str) -> list[int]:
        ids = []
        for place, run in enumerate(self.split.split(unicodedata.normalize("NFC", text))):
            if place % 2:
                ids.append(self.added[run])
                continue
            for word in QWEN2_PATTERN.findall(run):
                ids += [self.vocabulary[piece] for piece in self._merge([self.letters[b] for b in word.encode()])]
        return ids

    def _merge(self, pieces: list[str]) -> list[str]:
        while True:
            ranked = [
                (self.ranks.get(pair, 10**9), place)
                for place, pair in enumerate(zip(pieces, pieces[1:], strict=False))
            ]
            rank, place = min(ranked, default=(10**9, 0))
            if rank == 10**9:
                return pieces
            pieces = [*pieces[:place], pieces[place] + pieces[place + 1], *pieces[place + 2 :]]
