"""
TRL's trainers on chats with images: they train, and score a row of a batch as the model scores it alone.

Those that write answers as they train (GRPO, RLOO, distillation) pass no `tile_levels` on: without scale compression
they do without, with it they are refused. The remaining one, for reward models, takes no images.
"""

import functools
import math
from pathlib import Path

import pytest
import torch
import trl
from datasets import Dataset, Image, List
from peft import LoraConfig
from PIL import Image as PillowImage

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.training.random_keep_ratio import RandomKeepRatio
from processing_minimonkey import MiniMonkeyProcessor


CHECKPOINT = Path(__file__).resolve().parents[2] / "checkpoints" / "minimonkey-tiny"
WITHOUT_LEVELS = ("num_patches", "tile_levels")  # as the processor's documentation says
SIZES = [[(90, 60)], [(260, 60), (60, 90)], [], [(150, 150)]]  # of the images of each row
SETTINGS = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "learning_rate": 0.0,  # so that the weights are the same afterwards
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "disable_tqdm": True,
    "logging_steps": 1,
    "save_strategy": "no",
}
# Two batches are made of four answers, which are shuffled; beta asks for the scores of a second model
ONLINE = {"max_completion_length": 5, "num_generations": 2, "steps_per_generation": 2, "beta": 0.1}
LONG_ROWS = {"max_length": None}
OPTIONS = {
    "SFT": LONG_ROWS,
    "DPO": LONG_ROWS,
    "KTO": LONG_ROWS,
    "GRPO": ONLINE,
    "RLOO": ONLINE,
    "Distillation": {"max_completion_length": 5},
}
ANSWERS = {"KTO": ["completion", "label"], "SFT": ["completion"], "DPO": ["chosen", "rejected"]}


@pytest.fixture
def processor() -> MiniMonkeyProcessor:
    processor = MiniMonkeyProcessor.from_pretrained(CHECKPOINT)
    processor.image_processor.detailed_tiles, processor.image_processor.adaptive_tiles = (1, 3), (1, 2)
    return processor


def load_model(keep_ratio: float, noise: float = 0.0) -> MiniMonkeyForConditionalGeneration:
    model = MiniMonkeyForConditionalGeneration.from_pretrained(CHECKPOINT, dtype=torch.float32)
    model.config.scale_compression_config.keep_ratio = keep_ratio
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    return model


def make_chats() -> list[dict]:
    """One row with one image, one with two, one without, and another with one."""
    generator = torch.Generator().manual_seed(0)
    chats = []
    for number, sizes in enumerate(SIZES):
        pixels = [torch.randint(0, 256, (*size, 3), generator=generator, dtype=torch.uint8) for size in sizes]
        chats.append(
            {
                "images": [PillowImage.fromarray(array.numpy()) for array in pixels],
                "prompt": [{"role": "user", "content": "Read the text" + " again" * number}],
                "completion": [{"role": "assistant", "content": "fresh bread"[number:]}],
                "chosen": [{"role": "assistant", "content": "open sunday"[number:]}],
                "rejected": [{"role": "assistant", "content": "closed"}],
                "label": number % 2 == 0,
            }
        )
    return chats


def make_data(columns: list[str]) -> Dataset:
    data = Dataset.from_dict({column: [chat[column] for chat in make_chats()] for column in columns})
    return data.cast_column("images", List(Image()))


def count_up(completions: list, **kwargs) -> list[float]:
    """Rewards that differ."""
    return [float(number) for number in range(len(completions))]


def make_trainer(name: str, keep_ratio: float, processor: MiniMonkeyProcessor, folder: Path, **more):
    if name in ("GRPO", "RLOO"):
        more["reward_funcs"] = count_up
    if name == "Distillation":
        more["teacher_model"] = load_model(keep_ratio, noise=0.02)
    settings = getattr(trl, f"{name}Config")(output_dir=str(folder), **SETTINGS | OPTIONS[name])
    return getattr(trl, f"{name}Trainer")(
        model=load_model(keep_ratio),
        args=settings,
        train_dataset=make_data(["prompt", "images", *ANSWERS.get(name, [])]),
        processing_class=processor,
        **more,
    )


def record_scores(trainer) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """While it trains: for each row that the model scores its ids without padding, and the scores of its last ones."""
    rows = []

    def add(ids, mask, scores, is_scored):
        for row in range(len(ids)):
            rows.append((ids[row][mask[row].bool()], scores[row][is_scored[row]].detach()))

    forward = trainer.model.forward

    @functools.wraps(forward)
    def recording_forward(*args, **kwargs):
        outputs = forward(*args, **kwargs)
        if getattr(outputs, "log_probs", None) is not None:
            add(kwargs["input_ids"], kwargs["attention_mask"], outputs.log_probs, outputs.label_mask)
        return outputs

    trainer.model.forward = recording_forward
    if isinstance(trainer, trl.DistillationTrainer):  # compares whole distributions, made of the last layer's states
        get_states = trainer._get_last_hidden_state

        def recording_states(model, ids, mask, new, **inputs):
            states = get_states(model, ids, mask, new, **inputs)
            if model is trainer.model:
                scores = model.lm_head(states).log_softmax(-1).gather(2, ids[:, -new:, None])[..., 0]
                add(ids, mask, scores, mask[:, -new:].bool())
            return states

        trainer._get_last_hidden_state = recording_states
    return rows


@torch.no_grad()
def score_alone(model, prompts: list[dict], ids: torch.Tensor) -> torch.Tensor:
    """The scores of all tokens of a row after the first, from the plain model and the images of that row alone."""
    (prompt,) = [one for one in prompts if torch.equal(ids[: one["input_ids"].shape[1]], one["input_ids"][0])]
    inputs = {name: prompt[name] for name in ("pixel_values", "tile_levels") if name in prompt}
    logits = type(model).forward(model, input_ids=ids[None], **inputs).logits[0, :-1]
    return logits.log_softmax(-1).gather(1, ids[1:, None])[:, 0]


def check_steps(trainer) -> None:
    steps = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    assert len(steps) == SETTINGS["max_steps"]
    assert all(math.isfinite(entry["loss"]) and 0 < entry["grad_norm"] < 1e6 for entry in steps)


def check_training(trainer, prompts: list[dict]) -> None:
    rows = record_scores(trainer)
    trainer.train()
    check_steps(trainer)
    model = trainer.model.eval()
    assert len(rows) >= 4 and min(len(scores) for _, scores in rows) > 0
    assert len({len(ids) for ids, _ in rows}) > 1
    for ids, scores in rows:
        torch.testing.assert_close(scores, score_alone(model, prompts, ids)[-len(scores) :], atol=1e-3, rtol=1e-4)


def make_prompts(processor: MiniMonkeyProcessor) -> list[dict]:
    """The inputs of each row alone."""
    prompts = []
    for chat in make_chats():
        text = {"type": "text", "text": chat["prompt"][0]["content"]}
        content = [*({"type": "image", "image": image} for image in chat["images"]), text]
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
        prompts.append(processor.apply_chat_template([{"role": "user", "content": content}], **options))
    tiles = [len(prompt.get("tile_levels", ())) for prompt in prompts]
    assert len(set(tiles)) == 4 and tiles[2] == 0
    return prompts


def mostly_slow(cases: list[tuple], everyday: tuple) -> list:
    return [case if case == everyday else pytest.param(*case, marks=pytest.mark.slow) for case in cases]


GIVEN = [(name, keep_ratio) for name in ("SFT", "DPO", "KTO") for keep_ratio in (1.0, 0.5)]
OWN = [("GRPO",), ("RLOO",), ("Distillation",)]


@pytest.mark.parametrize("name, keep_ratio", mostly_slow(GIVEN, everyday=("SFT", 0.5)))
def test_with_given_answers_rows_are_scored_as_if_alone(processor, tmp_path, name, keep_ratio):
    check_training(make_trainer(name, keep_ratio, processor, tmp_path), make_prompts(processor))


@pytest.mark.parametrize(("name",), mostly_slow(OWN, everyday=("GRPO",)))
def test_with_answers_of_their_own_rows_are_scored_as_if_alone(processor, tmp_path, name):
    prompts = make_prompts(processor)
    processor.unused_input_names = WITHOUT_LEVELS
    check_training(make_trainer(name, 1.0, processor, tmp_path), prompts)


@pytest.mark.parametrize("unused", [WITHOUT_LEVELS, MiniMonkeyProcessor.unused_input_names])
@pytest.mark.parametrize(("name",), mostly_slow(OWN, everyday=("GRPO",)))
def test_with_answers_of_their_own_compression_is_refused(processor, tmp_path, name, unused):
    """By the model in one sentence; where the levels are still there, by TRL before it comes to that."""
    processor.unused_input_names = unused
    message = "`keep_ratio` 0.5 needs the `tile_levels` that the processor returns"
    if unused != WITHOUT_LEVELS and name != "Distillation":
        message = "unexpected keyword argument 'tile_levels'"
    with pytest.raises((ValueError, TypeError), match=message):
        make_trainer(name, 0.5, processor, tmp_path).train()


# With a drawn `keep_ratio` in every step


def watch(model, name: str, calls: list[tuple]) -> None:
    """Add name, mode, adapters and `keep_ratio` (`None`: the configured one) of every call to `calls`."""
    inner = getattr(model, "get_base_model", lambda: model)().model

    def record(module, args, kwargs):
        calls.append((name, module.training, kwargs.get("keep_ratio")))

    inner.register_forward_pre_hook(record, with_kwargs=True)


@pytest.mark.slow
@pytest.mark.parametrize("is_adapter", [False, True])
def test_a_reference_keeps_the_share_of_the_step(processor, tmp_path, is_adapter):
    """The adapter's is the model itself without it; another model has to be named."""
    more = {"peft_config": LoraConfig(target_modules=".*language_model.*_proj")} if is_adapter else {}
    trainer, calls = make_trainer("DPO", 1.0, processor, tmp_path, **more), []
    trainer.add_callback(callback := RandomKeepRatio(0.2, 0.9, full=0.0))
    watch(trainer.model, "trained", calls)
    if not is_adapter:
        watch(trainer.ref_model, "reference", calls)
        callback.references = [trainer.ref_model]
    trainer.train()
    check_steps(trainer)
    shares = [callback.draw(trainer.args.seed, step) for step in range(SETTINGS["max_steps"])]
    assert [share for _, _, share in calls] == [share for share in shares for _ in range(2)]
    assert [name for name, _, _ in calls] == ["trained", "trained" if is_adapter else "reference"] * 2
    # Before anything is learned, both say the same
    assert trainer.state.log_history[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)
    calls.clear()
    trainer.evaluate(trainer.train_dataset)
    assert calls and {share for _, _, share in calls} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["KTO", "GRPO"])
def test_other_trainers_take_a_drawn_share_as_they_take_a_configured_one(processor, tmp_path, name):
    trainer, calls = make_trainer(name, 1.0, processor, tmp_path), []
    trainer.add_callback(callback := RandomKeepRatio(0.2, 0.9, full=0.0))
    watch(trainer.model, "trained", calls)
    if name == "GRPO":
        with pytest.raises((ValueError, TypeError), match="tile_levels"):
            trainer.train()
        return
    callback.references = [trainer.ref_model]
    trainer.train()
    check_steps(trainer)
    shares = [callback.draw(trainer.args.seed, step) for step in range(SETTINGS["max_steps"])]
    assert {share for _, training, share in calls if training} == set(shares)


# Not in TRL's stable part, but they take images


@pytest.mark.slow
@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_gold_trains(processor, tmp_path, keep_ratio):
    gold = pytest.importorskip("trl.experimental.gold")
    settings = gold.GOLDConfig(output_dir=str(tmp_path), max_completion_length=5, **SETTINGS | LONG_ROWS)
    trainer = gold.GOLDTrainer(
        model=load_model(keep_ratio),
        teacher_model=load_model(keep_ratio, noise=0.02),
        args=settings,
        train_dataset=make_data(["prompt", "images", "completion"]),
        processing_class=processor,
    )
    trainer.train()
    check_steps(trainer)


@pytest.mark.slow
def test_gmpo_splits_tiles_by_rows(processor, tmp_path):
    """It does not say how many tiles each row has, so that it takes one, as with every model of that kind."""
    gmpo = pytest.importorskip("trl.experimental.gmpo")
    processor.unused_input_names = WITHOUT_LEVELS
    settings = gmpo.GMPOConfig(output_dir=str(tmp_path), max_completion_length=5, num_generations=2, **SETTINGS)
    data = make_data(["prompt", "images"]).select([0, 1, 3])
    trainer = gmpo.GMPOTrainer(
        load_model(1.0), count_up, args=settings, train_dataset=data, processing_class=processor
    )
    with pytest.raises(ValueError, match="image tokens"):
        trainer.train()


@pytest.mark.slow
def test_online_dpo_takes_it_for_a_model_without_images(processor, tmp_path):
    """It knows which models take images from a table of the library, which has no names from elsewhere."""
    online_dpo = pytest.importorskip("trl.experimental.online_dpo")
    settings = online_dpo.OnlineDPOConfig(output_dir=str(tmp_path), max_new_tokens=5, **SETTINGS)
    chat = make_chats()[0]
    data = Dataset.from_dict({"prompt": [chat["prompt"]] * 2, "image": chat["images"] * 2})
    trainer = online_dpo.OnlineDPOTrainer(
        model=load_model(1.0),
        reward_funcs=count_up,
        args=settings,
        train_dataset=data.cast_column("image", Image()),
        processing_class=processor,
    )
    with pytest.raises(ValueError, match="`pixel_values` are missing"):
        trainer.train()
