"""The ids of the published tokenizers, and SentencePiece itself, are the truth here."""

import json
import random
import re
import shutil
import sys

import pytest
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, normalizers
from transformers import AutoTokenizer

from modeling_minimonkey.conversion import tokenizer as converter
from modeling_minimonkey.conversion.convert import load_original_processor
from modeling_minimonkey.conversion.tokenizer import (
    PublishedTokenizer,
    check_ids,
    load_original_tokenizer,
    published_prefix,
)
from tests.modeling.conversion.original_checkpoints import write_original
from tests.modeling.conversion.original_tokenizers import (
    IMAGE_TOKENS,
    PHI3_TOKENS,
    TURNS,
    PublishedByteLevelTokenizer,
    sentencepiece_model,
    write_added_tokens,
    write_tokenizer,
)
from tests.recorded import read_json


ADDED_TOKENS = [*TURNS, "<img>", "</img>", "<IMG_CONTEXT>"]
CONTROL = "<s> </s> <unk> <pad> <0x0A> <|startoftext|> <|begin_of_text|> <fim_prefix> < | <| |> >".split()
SPACES = [" ", "  ", "     ", "\n", "\n\n", "\t", "\r\n", "▁", " ▁", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x00"]
WORDS = "the quick fox scores it's I'LL aaaaaaaaa _ - ... ?! don't x=f(y)".split() + [" ids", " and "]
NUMBERS = "7 0123 3.14 1,000 ２０".split()
SCRIPTS = "é e\u0301 ﬁ ß 模 今天天气很好 ， 。 日本 한국 עברית ไทย ـ İ \U00020000".split()
EMOJI = "😀 👩\u200d👩\u200d👧 🇩🇪 👍🏽 ❤️".split()
PARTS = [*CONTROL, *SPACES, *WORDS, *NUMBERS, *SCRIPTS, *EMOJI, *PHI3_TOKENS, *TURNS, *IMAGE_TOKENS]


def fuzz(number=10_000):
    rng = random.Random(0)
    return ["", " ", "▁", *("".join(rng.choices(PARTS, k=rng.randint(1, 14))) for _ in range(number))]


@pytest.fixture(params=["internlm2", "qwen2"])
def family(request, golden):
    return golden / "model" / request.param


def reload(tokenizer, folder):
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("saved", [False, True], ids=["converted", "saved_and_reloaded"])
def test_ids_and_texts_equal_the_published_tokenizer(family, saved, tmp_path):
    tokenizer = load_original_tokenizer(family / "checkpoint")
    if saved:
        tokenizer = reload(tokenizer, tmp_path)
    truth = read_json(family / "tokenizer_golden.json")
    for row in truth["encode"]:
        assert tokenizer(row["text"])["input_ids"] == row["ids"], row["text"]
        if family.name == "internlm2":
            assert PublishedTokenizer(family / "checkpoint").ids(row["text"]) == row["ids"], row["text"]
    # Bytes that are not UTF-8 have no one text: SentencePiece and `tokenizers` replace them differently.
    decoded = [row for row in truth["decode_skip_special_tokens"] if not row["has_replacement_char"]]
    assert len(decoded) > 20
    for row in decoded:
        assert tokenizer.decode(row["ids"], skip_special_tokens=True) == row["text"]


@pytest.mark.parametrize("place", range(6))
def test_ids_equal_those_recorded_from_llama_tokenizer(place, golden, tmp_path):
    truth = read_json(golden / "tokenizers" / "ids.json.gz")
    row, source = truth["recorded"][place], tmp_path / "source"
    assert len(truth["recorded"]) == 6
    shutil.copytree(golden / "tokenizers" / row["family"], source)
    edit_tokenizer_config(source, **row["config"])
    published, tokenizer = PublishedTokenizer(source), load_original_tokenizer(source)
    kept = 0
    for text, ids in zip(truth["texts"], row["ids"], strict=True):
        assert published.ids(text) == ids, repr(text)
        if not published.is_beyond_a_fast_tokenizer(text):
            kept += 1
            assert tokenizer(text)["input_ids"] == ids, repr(text)
    assert kept > 120


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
def test_whitespace_rules_of_tokenizer_model_are_followed(add_dummy_prefix, remove_extra_whitespaces, tmp_path):
    rules = {"add_dummy_prefix": add_dummy_prefix, "remove_extra_whitespaces": remove_extra_whitespaces}
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(**rules))
    write_added_tokens(tmp_path, dict(enumerate(["<unk>", "<s>", "</s>"])) | dict(enumerate(ADDED_TOKENS, start=420)))
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)

    rng = random.Random(0)
    parts = [" ", "  ", "▁", "\n", "scores", "kept", " ids", "é", "模", "7", *ADDED_TOKENS]
    texts = ["", " ", "   ", "▁", *("".join(rng.choices(parts, k=rng.randint(1, 12))) for _ in range(300))]
    for text in texts:
        assert tokenizer(text)["input_ids"] == published.ids(text), repr(text)
    plain = "kept ids 7 scores"
    assert tokenizer.decode(tokenizer(plain)["input_ids"], skip_special_tokens=True) == plain


def edit_tokenizer_config(folder, **values):
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config | values), encoding="utf-8")


def edit_model(folder, edit):
    path = folder / "tokenizer.model"
    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    edit(model)
    path.write_bytes(model.SerializeToString())


def reverse_pieces(model):
    pieces = sorted(model.pieces, key=lambda each: (each.type == each.NORMAL, each.score))
    del model.pieces[:]
    model.pieces.extend(pieces)


def test_pieces_are_merged_in_the_order_of_their_scores(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    edit_tokenizer_config(tmp_path, legacy=True)
    edit_model(tmp_path, reverse_pieces)  # the best have the last ids
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)
    for text in fuzz(1000):
        assert tokenizer(text)["input_ids"] == published.ids(text), repr(text)


def test_without_bytes_what_has_no_piece_is_unknown(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    edit_tokenizer_config(tmp_path, legacy=True)
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(byte_fallback=False))
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)
    assert tokenizer.unk_token_id in tokenizer("\U00020000")["input_ids"]
    for text in fuzz(1000):
        assert tokenizer(text)["input_ids"] == published.ids(text), repr(text)


def test_control_pieces_are_no_tokens_of_a_text(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(control_symbols="<sep>"))
    write_added_tokens(tmp_path, dict(enumerate(ADDED_TOKENS, start=420)))
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)
    assert tokenizer.convert_tokens_to_ids("<sep>") == 3
    assert tokenizer("read<sep> it")["input_ids"] == published.ids("read<sep> it")
    assert 3 not in published.ids("read<sep> it")


def test_added_tokens_are_found_in_the_text_as_it_is(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    decoder = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))["added_tokens_decoder"]
    decoder = {index: token | {"normalized": True} for index, token in decoder.items()}
    edit_tokenizer_config(tmp_path, legacy=True, added_tokens_decoder=decoder)
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)
    for text in ("a <img> it", "<img>it", " <img><|user|>\n"):
        assert tokenizer(text)["input_ids"] == published.ids(text), repr(text)


def test_settings_that_are_not_there_are_the_published_defaults(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    for name in ("bos_token", "eos_token", "unk_token"):
        del config[name]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = load_original_tokenizer(tmp_path)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token) == ("<s>", "</s>", "<unk>")
    assert tokenizer("it")["input_ids"] == PublishedTokenizer(tmp_path).ids("it")
    assert tokenizer("it")["input_ids"][0] == 1


def test_named_tokens_may_be_written_with_all_fields(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    fields = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "__type": "AddedToken"}
    edit_tokenizer_config(tmp_path, bos_token={"content": "<s>", **fields})
    tokenizer = load_original_tokenizer(tmp_path)
    assert tokenizer.bos_token == "<s>"
    assert tokenizer("it")["input_ids"] == PublishedTokenizer(tmp_path).ids("it")


def test_packages_that_are_missing_are_named(tmp_path, monkeypatch):
    write_tokenizer(tmp_path, "phi3")
    monkeypatch.setitem(sys.modules, "sentencepiece.sentencepiece_model_pb2", None)
    with pytest.raises(ImportError, match="needs the packages `sentencepiece` and `protobuf`"):
        load_original_tokenizer(tmp_path)


def test_two_ids_of_one_name_are_refused(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    edit_model(tmp_path, lambda model: setattr(model.pieces[400], "piece", "<img>"))
    write_added_tokens(tmp_path, {401: "<img>", 420: "</img>", 421: "<IMG_CONTEXT>"})
    with pytest.raises(ValueError, match="the name of a piece that has another id"):
        load_original_tokenizer(tmp_path)


FAMILIES = {
    "internlm2": ("internlm2", {}),
    "phi3": ("phi3", {}),
    "phi3_legacy": ("phi3", {"legacy": True}),
    "phi3_by_default": ("phi3", {"legacy": None}),
    "phi3_with_eos": ("phi3", {"legacy": True, "add_eos_token": True}),
    "llama": ("llama", {}),
    "llama_with_bos": ("llama", {"add_bos_token": True}),
    "llama_not_legacy": ("llama", {"legacy": False}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_strings_get_the_ids_of_sentencepiece(name, tmp_path):
    family, values = FAMILIES[name]
    source = tmp_path / "source"
    vocab_size = write_tokenizer(source, family)
    edit_tokenizer_config(source, **values)
    published = PublishedTokenizer(source)
    tokenizer = load_original_tokenizer(source, vocab_size)
    texts = [text for text in fuzz(12_000) if not published.is_beyond_a_fast_tokenizer(text)]
    assert len(texts) > 10_000
    assert_ids(tokenizer, texts, map(published.ids, texts), tmp_path)


@pytest.mark.parametrize("family", ["qwen2", "llama3"])
def test_ten_thousand_strings_get_the_ids_of_merged_bytes_and_of_tokenizer_json(family, tmp_path):
    source, texts = tmp_path / "source", fuzz()
    tokenizer = load_original_tokenizer(source, write_tokenizer(source, family))
    if family == "qwen2":
        published = map(PublishedByteLevelTokenizer(source).ids, texts)
    else:
        encodings = Tokenizer.from_file(str(source / "tokenizer.json")).encode_batch(texts)
        published = (encoding.ids for encoding in encodings)
    assert_ids(tokenizer, texts, published, tmp_path)


def assert_ids(tokenizer, texts, published, folder):
    """The tokenizer gives the published ids, and saved and loaded it gives the same."""
    ids = tokenizer(texts)["input_ids"]
    wrong = [(text, got) for text, got, truth in zip(texts, ids, published, strict=True) if got != truth]
    assert not wrong, wrong[:3]
    assert reload(tokenizer, folder / "saved")(texts)["input_ids"] == ids


@pytest.mark.parametrize("family", ["internlm2", "qwen2", "phi3", "llama", "llama3"])
def test_texts_come_back(family, tmp_path):
    write_tokenizer(tmp_path / "source", family)
    tokenizer = reload(load_original_tokenizer(tmp_path / "source"), tmp_path / "saved")
    for text in ("kept ids 7 scores", "two\nlines", "猕猴看图说话 😀", "a  b"):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text


def test_a_prefix_before_an_added_token_has_to_be_asked_for(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)
    for token in published.beginnings:
        text = f"{token}\nread it{token} now"
        assert published_prefix(tmp_path, token) == "▁"
        assert tokenizer("▁" + text)["input_ids"] == published.ids(text) != tokenizer(text)["input_ids"]
    for token in ("<img>", "<s>", "<|endoftext|>", "read"):
        assert published_prefix(tmp_path, token) == ""
        assert tokenizer(token + " it")["input_ids"] == published.ids(token + " it")
    edit_tokenizer_config(tmp_path, legacy=True)
    assert published_prefix(tmp_path, "<|system|>") == ""


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
    with pytest.raises(FileNotFoundError, match="no tokenizer_config.json"):
        load_original_tokenizer(tmp_path)
    write_added_tokens(tmp_path, {512: "<img>", 513: "</img>"})
    with pytest.raises(ValueError, match=re.escape("lacks ['<IMG_CONTEXT>']")):
        load_original_tokenizer(tmp_path)
    write_added_tokens(tmp_path, {512: "<img>", 513: "</img>", 600: "<IMG_CONTEXT>"})
    with pytest.raises(ValueError, match="<IMG_CONTEXT>.*600"):
        load_original_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "family, name",
    [
        ("internlm2", "tokenizer.model"),
        ("qwen2", "vocab.json"),
        ("qwen2", "merges.txt"),
        ("llama3", "tokenizer.json"),
    ],
)
def test_damaged_vocabularies_are_refused(family, name, tmp_path):
    write_tokenizer(tmp_path, family)
    whole = (tmp_path / name).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2]):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"`source` .*{name}"):
            load_original_tokenizer(tmp_path)
    (tmp_path / name).write_bytes(whole)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match="tokenizer_config.json is not a JSON file"):
        load_original_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "decoder", [None, ["<img>"], {"420": "<img>"}, {"420": {"special": True}}, {"first": {"content": "<img>"}}]
)
def test_added_tokens_of_another_form_are_refused(decoder, tmp_path):
    write_tokenizer(tmp_path, "phi3")
    edit_tokenizer_config(tmp_path, added_tokens_decoder=decoder)
    with pytest.raises(ValueError, match="tokenizer_config.json whose `added_tokens_decoder`"):
        load_original_tokenizer(tmp_path)


def test_missing_merges_are_named(tmp_path):
    write_tokenizer(tmp_path, "qwen2")
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match="has vocab.json, but no merges.txt"):
        load_original_tokenizer(tmp_path)


def test_added_tokens_in_the_vocabulary_need_no_merges(tmp_path):
    write_tokenizer(tmp_path, "qwen2")
    expected = load_original_tokenizer(tmp_path)("Read <img> it")["input_ids"]
    vocabulary = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    added = json.loads((tmp_path / "added_tokens.json").read_text(encoding="utf-8"))
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary | added), encoding="utf-8")
    assert load_original_tokenizer(tmp_path)("Read <img> it")["input_ids"] == expected


@pytest.mark.parametrize(
    "options, message",
    [
        ({"model_type": "unigram"}, "other than BPE"),
        ({"model_type": "char"}, "other than BPE"),
        ({"treat_whitespace_as_suffix": True}, "`treat_whitespace_as_suffix` true"),
        ({"remove_extra_whitespaces": True}, "`remove_extra_whitespaces` true where `legacy` is false"),
        ({"user_defined_symbols": "▁▁"}, "spaces in user-defined pieces .*▁▁"),
        ({"user_defined_symbols": "a b"}, "spaces in user-defined pieces .*a b"),
    ],
)
def test_rules_beyond_a_fast_tokenizer_are_refused(options, message, tmp_path):
    write_tokenizer(tmp_path, "phi3")
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(**options))
    with pytest.raises(ValueError, match=f"tokenizer.model, that can't be converted: .*{message}"):
        load_original_tokenizer(tmp_path)


@pytest.mark.parametrize("rule", ["add_dummy_prefix", "remove_extra_whitespaces"])
def test_rules_for_spaces_beside_user_defined_pieces_are_refused(rule, tmp_path):
    write_tokenizer(tmp_path, "llama")
    edit_model(tmp_path, lambda model: setattr(model.normalizer_spec, rule, True))
    with pytest.raises(ValueError, match=r"user-defined pieces \(\['<fim_prefix>'\]\) or rules"):
        load_original_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["nfkc", "nmt_nfkc"])
def test_other_normalizations_are_followed_with_a_warning(name, tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(converter.logger, "warning", warnings.append)
    write_tokenizer(tmp_path, "phi3")
    load_original_tokenizer(tmp_path)
    assert not warnings
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(normalization_rule_name=name))
    edit_tokenizer_config(tmp_path, legacy=True)
    tokenizer, published = load_original_tokenizer(tmp_path), PublishedTokenizer(tmp_path)
    assert len(warnings) == 1 and f"{name!r} instead of 'identity'" in warnings[0]
    for text in ("The quick fox, 0123.", "今天天气很好", "ﬁne ２０ ①", "<|user|>\nread it<|end|>"):
        assert tokenizer(text)["input_ids"] == published.ids(text), text


def test_unescaped_spaces_are_refused(tmp_path):
    write_tokenizer(tmp_path, "phi3")
    edit_model(tmp_path, lambda model: setattr(model.normalizer_spec, "escape_whitespaces", False))
    with pytest.raises(ValueError, match="`escape_whitespaces` false"):
        load_original_tokenizer(tmp_path)


@pytest.mark.parametrize("family", ["phi3", "llama", "llama3"])
def test_the_language_model_s_own_chat_template_is_left_out(family, tmp_path):
    write_tokenizer(tmp_path / "source", family)
    assert load_original_tokenizer(tmp_path / "source").chat_template is None
    assert reload(load_original_tokenizer(tmp_path / "source"), tmp_path / "saved").chat_template is None


@pytest.mark.parametrize("family", ["internlm2", "phi3", "llama"])
def test_prompts_get_the_published_ids(family, tmp_path):
    source = write_original(tmp_path, family)
    tokenizer = load_original_processor(source).tokenizer
    published = PublishedTokenizer(source)
    question = {"role": "user", "content": "Read  it.\n你好 <b>7</b>"}
    processor = load_original_processor(source)
    prompt = processor.apply_chat_template([question], add_generation_prompt=True)
    prefix = "▁" if family == "phi3" else ""
    first = "<|system|>" if family == "phi3" else "<|im_start|>"
    assert prompt.startswith(prefix + first)
    assert tokenizer(prompt)["input_ids"] == published.ids(prompt.removeprefix(prefix))


@pytest.mark.parametrize("name", [*FAMILIES, "qwen2", "llama3"])
def test_ids_are_checked_against_the_original(name, tmp_path):
    family, values = FAMILIES.get(name, (name, {}))
    write_tokenizer(tmp_path / "source", family)
    edit_tokenizer_config(tmp_path / "source", **values)
    tokenizer = reload(load_original_tokenizer(tmp_path / "source"), tmp_path / "saved")
    check_ids(tokenizer, tmp_path / "source")
    if name == "qwen2":  # nothing to compare with
        return
    backend = tokenizer.backend_tokenizer
    steps = [backend.normalizer] if backend.normalizer else []
    for step in (normalizers.Prepend("▁"), normalizers.Strip(), normalizers.NFD(), normalizers.Replace("▁", "_")):
        backend.normalizer = normalizers.Sequence([*steps, step])
        with pytest.raises(RuntimeError, match="gives '.*' the ids .*, that of `source` "):
            check_ids(tokenizer, tmp_path / "source")
