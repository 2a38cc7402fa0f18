"""Prompts of facts, and what is read from them by a model that knows the answer."""

import types

import pytest
import torch

from benchmarks.speed import asked_facts
from benchmarks.speed.facts import FactPrompt, make_facts
from benchmarks.speed.pretrained_model import IMAGE_TOKEN_ID, make_prompt, wrap
from modeling_minimonkey.scale_compression import select_tokens


class WordTokenizer:
    """A token for every word, by the order in which they came."""

    def __init__(self):
        self.ids = {}

    def __call__(self, text, add_special_tokens=False):
        words = text.replace(".", " .").split()
        return {"input_ids": [self.ids.setdefault(word, len(self.ids) + 10) for word in words]}


@pytest.fixture
def few_layers(monkeypatch):
    monkeypatch.setattr(asked_facts, "LAYERS", (0, 1, 2))
    monkeypatch.setattr(asked_facts, "REPACKED_LAYERS", (1,))


class TestFacts:
    def test_words_come_once(self):
        for seed in range(20):
            prompt = make_facts(seed)
            words = [word for fact in prompt.facts for word in (fact.name, fact.verb, fact.thing)]
            assert len(words) == len(set(words)) == 3 * 24
            assert prompt.answer in prompt.facts[prompt.asked].line

    def test_known_prompt(self):
        facts = make_facts(0).facts[:2]
        prompt = FactPrompt(facts, asked=1)
        assert prompt.overview == f"The people are {facts[0].name}, {facts[1].name}.\n"
        assert prompt.question.endswith(facts[1].line.split()[1]) and prompt.answer not in prompt.question

    def test_seeds_differ(self):
        assert make_facts(1) == make_facts(1) != make_facts(2)

    def test_tokens(self):
        prompt, tokenizer = make_facts(3), WordTokenizer()
        tokens = asked_facts.Tokens.of(prompt, tokenizer)
        words = {number: word for word, number in tokenizer.ids.items()}
        asked = tokens.ids[0, tokens.lines == prompt.asked + 1].tolist()
        assert " ".join(words[each] for each in asked) == prompt.facts[prompt.asked].line.replace(".", " .").strip()
        assert words[tokens.things[prompt.asked]] == prompt.answer
        assert tokens.image_mask[tokens.lines > 0].all() and not tokens.image_mask[-1]
        assert tokens.image_mask.sum() > (tokens.lines > 0).sum()  # the overview


class TestReadings:
    def test_of_one_prompt(self, causal_lm, few_layers):
        tokenizer = WordTokenizer()
        readings = asked_facts.read(causal_lm, tokenizer, 5)
        assert len(readings) == 1 + 2 * (2 * 3 + 1)
        assert [each.asked for each in readings if each.keep_ratio == 1] == [4]
        assert {each.fact for each in readings} == {4} and {each.facts for each in readings} == {96}
        assert all((each.repack >= 0) == (each.layer in (0, 1)) for each in readings)

    def test_the_likeliest_thing_is_chosen(self, causal_lm):
        embeds = torch.randn(1, 12, 32)
        whole = torch.ones(12, dtype=torch.bool)
        with torch.no_grad():
            logits = causal_lm(inputs_embeds=embeds).logits[0, -1]
        order = logits.argsort(descending=True).tolist()
        things = [order[5], order[2], order[9]]
        assert asked_facts.chosen(causal_lm, embeds, [(whole, "keep"), (whole, "repack")], things) == [1, 1]

    @pytest.mark.parametrize("positions", ["keep", "repack"])
    @pytest.mark.parametrize("queries", ["all", "question", "none"])
    def test_generate_reads_the_same(self, causal_lm, few_layers, queries, positions):
        model = wrap(causal_lm, tokens_per_tile=4)
        inputs = make_prompt((4, 2, 1), 4, 1, causal_lm.get_input_embeddings())
        image_mask = inputs["input_ids"][0] == IMAGE_TOKEN_ID
        features = inputs["mm_encoder_outputs"]["image"].pooler_output
        embeds = causal_lm.get_input_embeddings()(inputs["input_ids"]).detach()
        embeds[0, image_mask] = features.flatten(0, 1)
        detailed = torch.zeros_like(image_mask)
        detailed[image_mask.nonzero()[:16, 0]] = True
        tokens = types.SimpleNamespace(lines=detailed.long(), image_mask=image_mask)
        scores = {each[:2]: each[2] for each in asked_facts.all_scores(causal_lm.model, embeds, tokens)}
        layer = 0 if queries == "none" else 1
        kept = select_tokens(scores[queries, layer], detailed.long(), 0.5)
        (chosen,) = asked_facts.chosen(causal_lm, embeds, [(kept, positions)], list(range(400)))

        settings = {"queries": queries, "layer": layer, "positions": positions}
        for name, value in settings.items():
            setattr(model.config.scale_compression_config, name, value)
        answer = model.generate(**inputs, max_new_tokens=1, do_sample=False, keep_ratio=0.5)
        assert int(answer[0, -1]) == chosen
