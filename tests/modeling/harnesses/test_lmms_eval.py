"""The adapter in the real lmms-eval, on requests made by hand: `make test-lmms-eval`, which brings the harness."""

import pytest
from PIL import Image


pytest.importorskip("lmms_eval", reason="lmms-eval's 52 dependencies are not for everyone: make test-lmms-eval")

from lmms_eval.api.instance import Instance
from lmms_eval.models.registry_v2 import ModelRegistryV2
from lmms_eval.tasks.docvqa.utils import docvqa_doc_to_visual
from lmms_eval.tasks.ocrbench.utils import ocrbench_process_results

from modeling_minimonkey.harnesses.lmms_eval import MiniMonkeyForLmmsEval
from modeling_minimonkey.harnesses.published_evaluation import SETTINGS, setting_of
from processing_minimonkey import PYRAMID_SETTINGS


PAGES = {"docvqa_val": ["page", "upper", "lower"], "unknown": ["page"], "ocrbench": ["page"]}


@pytest.fixture(scope="module")
def documents(repository):
    page = Image.open(repository / "examples" / "page.png").convert("RGB")
    width, height = page.size
    halves = {"upper": page.crop((0, 0, width, height // 2)), "lower": page.crop((0, 0, width // 2, height))}
    return {"page": page, **halves}


@pytest.fixture
def make_model(repository, documents):
    def make(**options):
        registry = ModelRegistryV2()
        registry.load_entrypoint_manifests()
        model_class = registry.get_model_class("minimonkey")
        assert model_class is MiniMonkeyForLmmsEval
        folder = str(repository / "checkpoints" / "minimonkey-tiny")
        model = model_class(pretrained=folder, dtype="float32", device="cpu", **options)
        model.task_dict = {
            task: {"test": [{"image": documents[name], "question": "Read the text."} for name in names]}
            for task, names in PAGES.items()
        }
        return model

    return make


def make_request(task: str, doc_id: int, **gen_kwargs) -> Instance:
    def doc_to_messages(doc):
        images = [{"type": "image", "url": image} for image in docvqa_doc_to_visual(doc)]
        return [{"role": "user", "content": [*images, {"type": "text", "text": doc["question"]}]}]

    gen_kwargs = {"max_new_tokens": 32, "temperature": 0, "until": ["\n\n"]} | gen_kwargs
    arguments = ("Read the text.", doc_to_messages, gen_kwargs, doc_id, task, "test")
    metadata = {"task": task, "doc_id": doc_id, "repeats": 1}
    return Instance(request_type="generate_until", arguments=arguments, idx=0, metadata=metadata)


REQUESTS = [("docvqa_val", 0), ("unknown", 0), ("docvqa_val", 1), ("docvqa_val", 2), ("ocrbench", 0)]


def test_answers_come_in_order_whatever_the_batch(make_model):
    requests = [make_request(*request) for request in REQUESTS]
    alone, together = make_model().generate_until(requests), make_model(batch_size=3).generate_until(requests)
    assert alone == together
    assert alone[0].startswith("fresh bread") and len(set(alone)) > 1


def test_answers_end_where_the_task_says(make_model):
    model = make_model()
    whole, first, short = model.generate_until(
        [make_request("docvqa_val", 0, **options) for options in ({}, {"until": ["\n"]}, {"max_new_tokens": 3})]
    )
    assert first == whole.split("\n")[0] != whole and short == whole[:3]


def test_tiles_are_those_of_the_published_evaluation(make_model, monkeypatch):
    assert set(SETTINGS.values()) <= set(PYRAMID_SETTINGS)
    assert [setting_of(task, 1) for task in ("mme", "mmmu_val", "docvqa_test", "gqa")] == [
        "mme",
        "mmmu",
        "docvqa",
        "default",
    ]
    assert setting_of("docvqa_val", 2) == "multi_image"
    model, seen = make_model(batch_size=2, keep_ratio="0.5"), []
    prepare_chat = model.processor.prepare_chat

    def record(chats, pyramid):
        seen.append((pyramid, len(chats)))
        return prepare_chat(chats, pyramid=pyramid)

    monkeypatch.setattr(model.processor, "prepare_chat", record)
    model.generate_until([make_request(*request) for request in REQUESTS])
    assert seen == [("docvqa", 2), ("docvqa", 1), ("default", 1), ("ocrbench", 1)]
    assert model.generate_kwargs == {"keep_ratio": 0.5}


def test_scores_are_the_harness_s(make_model):
    (answer,) = make_model().generate_until([make_request("docvqa_val", 0)])
    doc = {"dataset": "IIIT5K", "question_type": "Regular Text Recognition", "answer": ["bread"]}
    (score,) = ocrbench_process_results(doc, [answer]).values()
    assert score["score"] == 1
    doc["answer"] = ["breads"]
    (score,) = ocrbench_process_results(doc, [answer]).values()
    assert score["score"] == 0


def test_what_is_not_supported_says_so(make_model):
    model = make_model()
    for method in (model.loglikelihood, model.generate_until_multi_round):
        with pytest.raises(NotImplementedError):
            method([])
