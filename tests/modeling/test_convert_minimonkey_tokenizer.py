"""The ids of the published tokenizers, and SentencePiece itself, are the truth here."""

import io
import itertools
import json
import random
import re
import shutil

import pytest
import sentencepiece
from transformers import AutoTokenizer

from modeling_minimonkey.convert_minimonkey_tokenizer import load_original_tokenizer


ADDED_TOKENS = ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]


@pytest.fixture(params=["internlm2", "qwen2"])
def family(request, golden):
    return golden / "model" / request.param


def reload(tokenizer, folder):
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def write_added_tokens(folder, tokens: dict[int, str], **config):
    decoder = {str(index): {"content": token, "normalized": False, "special": True} for index, token in tokens.items()}
    config = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"} | config
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"added_tokens_decoder": decoder}))


@pytest.mark.parametrize("saved", [False, True], ids=["converted", "saved_and_reloaded"])
def test_ids_and_texts_equal_the_published_tokenizer(family, saved, tmp_path):
    tokenizer = load_original_tokenizer(family / "checkpoint")
    if saved:
        tokenizer = reload(tokenizer, tmp_path)
    truth = json.loads((family / "tokenizer_golden.json").read_text(encoding="utf-8"))
    for row in truth["encode"]:
        assert tokenizer(row["text"])["input_ids"] == row["ids"], row["text"]
    # Bytes that are not UTF-8 have no one text: SentencePiece and `tokenizers` replace them differently.
    decoded = [row for row in truth["decode_skip_special_tokens"] if not row["has_replacement_char"]]
    assert len(decoded) > 20
    for row in decoded:
        assert tokenizer.decode(row["ids"], skip_special_tokens=True) == row["text"]


def test_image_tokens_padding_and_special_tokens_survive_saving(family, tmp_path):
    tokenizer = reload(load_original_tokenizer(family / "checkpoint"), tmp_path)
    original = json.loads((family / "checkpoint" / "tokenizer_config.json").read_text())
    added = {token["content"]: int(index) for index, token in original["added_tokens_decoder"].items()}
    for name, token in (
        ("start_image_token", "<img>"),
        ("end_image_token", "</img>"),
        ("context_image_token", "<IMG_CONTEXT>"),
    ):
        assert getattr(tokenizer, name) == token
        assert getattr(tokenizer, f"{name}_id") == added[token]
    assert tokenizer.padding_side == "left"
    assert set(original["additional_special_tokens"]) <= set(tokenizer.all_special_tokens)
    for name in ("bos_token", "eos_token", "pad_token"):
        assert getattr(tokenizer, name) == original[name]
    assert tokenizer(["a", "a b c"], padding=True)["attention_mask"][0][0] == 0
    assert "auto_map" not in json.loads((tmp_path / "tokenizer_config.json").read_text())


@pytest.mark.parametrize("add_dummy_prefix", [False, True])
@pytest.mark.parametrize("remove_extra_whitespaces", [False, True])
def test_whitespace_rules_of_tokenizer_model_are_followed(
    add_dummy_prefix, remove_extra_whitespaces, tmp_path, golden
):
    corpus = (golden / "model" / "qwen2" / "cases.json").read_text(encoding="utf-8").split("\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=add_dummy_prefix,
        remove_extra_whitespaces=remove_extra_whitespaces,
        minloglevel=2,
    )
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    write_added_tokens(tmp_path, dict(enumerate(["<unk>", "<s>", "</s>"])) | dict(enumerate(ADDED_TOKENS, start=420)))
    tokenizer = load_original_tokenizer(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())

    def published(text):  # as the slow tokenizers: SentencePiece on each run of text between added tokens
        runs = [run for run in re.split(f"({'|'.join(map(re.escape, ADDED_TOKENS))})", text) if run]
        ids = ([420 + ADDED_TOKENS.index(run)] if run in ADDED_TOKENS else processor.encode(run) for run in runs)
        return [1, *itertools.chain.from_iterable(ids)]

    rng = random.Random(0)
    parts = [" ", "  ", "\n", "scores", "kept", " ids", "é", "模", "7", *ADDED_TOKENS]
    texts = ["", " ", "   ", *("".join(rng.choices(parts, k=rng.randint(1, 12))) for _ in range(300))]
    for text in texts:
        assert tokenizer(text)["input_ids"] == published(text), repr(text)
    plain = "kept ids 7 scores"
    assert tokenizer.decode(tokenizer(plain)["input_ids"], skip_special_tokens=True) == plain


def test_a_tokenizer_json_beside_tokenizer_model_is_not_used(golden, tmp_path):
    source = golden / "model" / "internlm2" / "checkpoint"
    expected = load_original_tokenizer(source)("Read it. <img>")["input_ids"]
    shutil.copytree(source, tmp_path / "source")
    load_original_tokenizer(golden / "model" / "qwen2" / "checkpoint").save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "tokenizer.json", tmp_path / "source")
    assert load_original_tokenizer(tmp_path / "source")("Read it. <img>")["input_ids"] == expected


def test_errors_name_what_is_wrong(golden, tmp_path):
    source = golden / "model" / "internlm2" / "checkpoint"
    with pytest.raises(FileNotFoundError, match="tokenizer.model"):
        load_original_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="up to 520, but an embedding of 520 rows"):
        load_original_tokenizer(source, 520)
    with pytest.raises(ValueError, match=re.escape("lacks ['<|end|>']")):
        load_original_tokenizer(source, 521, ["<|end|>"])

    shutil.copy(source / "tokenizer.model", tmp_path)
    write_added_tokens(tmp_path, {512: "<img>", 513: "</img>"})
    with pytest.raises(ValueError, match=re.escape("lacks ['<IMG_CONTEXT>']")):
        load_original_tokenizer(tmp_path)
    write_added_tokens(tmp_path, {512: "<img>", 513: "</img>", 600: "<IMG_CONTEXT>"})
    with pytest.raises(ValueError, match="<IMG_CONTEXT>.*600"):
        load_original_tokenizer(tmp_path)
