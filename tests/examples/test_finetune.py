"""Fine-tuning on the small checkpoint: data, labels, what is trained, and runs that equal each other."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_from_disk
from finetune import (
    FinetuneArguments,
    last_checkpoint,
    load_model,
    main,
    next_step,
    run,
    trainer_arguments,
)
from finetune_data import ChatCollator, load_chats
from finetune_sft import SFTConfig, SFTTrainer
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, Trainer, TrainerCallback, TrainingArguments
from trl import TrlParser

from benchmarks.sawtooth.readers.rendering import render
from tests.examples.sharded_run import STEPS, train


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = str(ROOT / "checkpoints" / "minimonkey-tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """Twelve pages to be read in capitals, which is new to the model; one chat has two images and two questions."""
    folder = tmp_path_factory.mktemp("chats")
    lines = []
    for index in range(12):
        page = render("page", "train test", index)
        page.image.save(folder / f"{index}.png")
        question = [{"type": "image", "image": f"{index}.png"}, {"type": "text", "text": page.question}]
        lines.append([{"role": "user", "content": question}, {"role": "assistant", "content": page.text.upper()}])
    lines[3] += lines[4]
    path = folder / "chats.jsonl"
    path.write_text("\n".join(json.dumps({"messages": line}) for line in lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(CHECKPOINT)


def training(folder: Path, **options) -> dict:
    """Options of a short run on the CPU."""
    return {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 2,
        "learning_rate": 5e-4,
        "logging_steps": 1,
        "save_steps": 2,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
    } | options


def make_trainer(data: str, folder: Path, arguments: dict | None = None, **options) -> Trainer:
    arguments = FinetuneArguments(**{"train_data": data, "model": CHECKPOINT} | (arguments or {}))
    return Trainer(**trainer_arguments(arguments, TrainingArguments(**training(folder, **options))))


def losses(folder: Path) -> list[float]:
    state = json.loads((folder / "trainer_state.json").read_text())
    return [float(entry["loss"]) for entry in state["log_history"] if "loss" in entry]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    """The folder of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    run(make_trainer(data, folder))
    return folder


# Data


def test_images_are_found_beside_the_file(data):
    chats = load_chats(data)
    assert len(chats) == 12 and len(chats[3]["images"]) == 2
    expected = Image.open(Path(data).with_name("4.png"))
    assert np.array_equal(np.asarray(chats[3]["images"][1]), np.asarray(expected))


def test_a_data_set_is_as_good_as_a_file(data, processor, tmp_path):
    load_chats(data).save_to_disk(tmp_path)
    collate = ChatCollator(processor)
    first, second = collate([load_chats(data)[3]]), collate([load_from_disk(str(tmp_path))[3]])
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", "line 2: not a chat"),
        ('{"text": "a"}', "line 2: not a chat"),
        ('{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', "line 2: not a chat"),
        ('{"messages": [{"role": "user", "content": [{"type": "image", "image": "no.png"}]}]}', "no.png is not there"),
    ],
)
def test_lines_that_are_no_chats_are_named(tmp_path, line, message):
    path = tmp_path / "chats.jsonl"
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    path.write_text(json.dumps({"messages": chat}) + "\n" + line)
    with pytest.raises(ValueError, match=message):
        load_chats(str(path))


def test_the_loss_is_on_the_answers_alone(data, processor):
    chats = load_chats(data)
    batch = ChatCollator(processor)([chats[0], chats[3]])
    answers = [processor.decode(row[row >= 0]) for row in batch["labels"]]
    texts = [render("page", "train test", index).text.upper() + "<|im_end|>" for index in (0, 3, 4)]
    assert answers == [texts[0], texts[1] + texts[2]]
    assert torch.equal(batch["labels"][batch["labels"] >= 0], batch["input_ids"][batch["labels"] >= 0])


def test_tiles_of_training_may_differ_from_those_of_use(data, processor):
    chat = [load_chats(data)[0]]
    few, usual = (
        ChatCollator(processor, detailed_tiles=(1, 1), adaptive_tiles=None)(chat),
        ChatCollator(processor)(chat),
    )
    assert few["pixel_values"].shape[0] == 1 < usual["pixel_values"].shape[0]


def test_a_template_without_marks_is_refused(processor):
    class Unmarked:
        chat_template = "{{ messages }}"

    with pytest.raises(ValueError, match="must mark the answers"):
        ChatCollator(Unmarked())


# What is trained


@pytest.mark.parametrize(
    "train, trained, frozen",
    [
        ("full", ["vision_tower", "multi_modal_projector", "language_model", "lm_head"], []),
        ("projector", ["multi_modal_projector"], ["vision_tower", "language_model", "lm_head"]),
        ("language_model", ["language_model", "lm_head"], ["vision_tower", "multi_modal_projector"]),
        ("lora", ["lora_A", "lora_B"], ["vision_tower", "multi_modal_projector", "lm_head", "base_layer"]),
    ],
)
def test_the_named_weights_are_trained(data, train, trained, frozen):
    model = load_model(FinetuneArguments(train_data=data, model=CHECKPOINT, train=train))
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all(any(part in name for name in names) for part in trained)
    assert not [name for name in names if any(part in name for part in frozen)]


@pytest.mark.parametrize("config", ["published", "lora", "compressed"])
def test_recipes_are_read(config):
    parser = TrlParser((FinetuneArguments, TrainingArguments))
    command = [
        "--config",
        f"{ROOT}/examples/configs/{config}.yaml",
        "--train_data",
        "x",
        "--output_dir",
        "y",
    ]
    arguments, settings = parser.parse_args_and_config([*command, "--bf16", "false", "--use_cpu", "true"])
    assert arguments.train == ("lora" if config == "lora" else "language_model")
    assert arguments.pyramid == ("train_lora" if config == "lora" else "train")
    assert settings.learning_rate == {"published": 4e-9, "lora": 4e-5, "compressed": 1e-5}[config]
    assert settings.get_warmup_steps(1000) == 30
    if config == "compressed":
        assert arguments.keep_ratio_range == [0.2, 0.9] and arguments.keep_ratio_full == 0.25
        assert (arguments.queries, arguments.scoring_layer, arguments.positions) == ("question", 2, "keep")


# Runs


def test_a_run_learns_and_leaves_a_folder_that_loads(finished, processor):
    assert np.mean(losses(finished)[-2:]) < 0.7 * losses(finished)[0]
    assert (finished / "loss.png").stat().st_size > 5_000
    names = {path.name for path in finished.iterdir()}
    assert {"model.safetensors", "config.json", "processor_config.json", "chat_template.jinja"} <= names
    assert {"modeling_minimonkey.py", "processing_minimonkey.py"} <= names
    assert AutoProcessor.from_pretrained(finished).image_processor.detailed_tiles == (1, 6)


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_weights(data, finished, tmp_path):
    options = {name: str(value) for name, value in training(tmp_path).items()}
    command = [sys.executable, f"{ROOT}/examples/finetune.py", "--train_data", data, "--model", CHECKPOINT]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while last_checkpoint(tmp_path) is None:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "model.safetensors").exists()
    run(make_trainer(data, tmp_path))
    assert losses(tmp_path) == losses(finished)
    first, second = load_file(finished / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step, is_whole in ((8, True), (10, True), (12, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if is_whole:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert Path(last_checkpoint(tmp_path)).name == "checkpoint-10"


@pytest.mark.slow
def test_trl_follows_the_same_path(data, finished, tmp_path):
    options = training(tmp_path, bf16=False, activation_checkpointing=False, save_strategy="no")
    arguments = FinetuneArguments(train_data=data, model=CHECKPOINT)
    run(SFTTrainer(**trainer_arguments(arguments, SFTConfig(**options))))
    assert losses(tmp_path) == pytest.approx(losses(finished), rel=1e-3)


@pytest.mark.slow
def test_accumulated_and_checkpointed_it_follows_the_same_path(data, finished, tmp_path):
    options = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "activation_checkpointing": True}
    run(make_trainer(data, tmp_path, **options, save_strategy="no"))
    assert losses(tmp_path) == pytest.approx(losses(finished), rel=1e-3)


@pytest.mark.slow
def test_evaluation_stops_a_run_that_gets_no_better(data, tmp_path):
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_steps": 1, "save_total_limit": 1, "learning_rate": 0.0}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
    trainer = make_trainer(data, tmp_path, {"eval_samples": 4, "patience": 2}, **options, **best)
    run(trainer)
    assert len(trainer.train_dataset) == 8 and len(trainer.eval_dataset) == 4
    assert trainer.state.global_step == 1 + 2 and trainer.state.best_global_step == 1


@pytest.fixture(scope="module")
def streamed(data, tmp_path_factory) -> str:
    """The chats as a data set of the Hub."""
    folder = tmp_path_factory.mktemp("streamed")
    load_chats(data).to_parquet(folder / "train.parquet")
    return str(folder)


@pytest.mark.slow
def test_a_stream_is_shuffled_and_its_batches_keep_their_tiles(data, streamed, processor, tmp_path):
    arguments = {"train_data": streamed, "streaming": True, "eval_samples": 2}
    trainer = make_trainer(data, tmp_path, arguments, save_strategy="no", eval_strategy="steps", eval_steps=6)
    collate, chats = ChatCollator(processor), load_chats(data)
    alone = {tuple(row["input_ids"][0].tolist()): row for row in (collate([chat]) for chat in chats)}
    seen = []
    for batch in trainer.get_train_dataloader():
        pairs = zip(batch["input_ids"], batch["attention_mask"], strict=True)
        rows = [tuple(ids[mask.bool()].tolist()) for ids, mask in pairs]
        assert torch.equal(batch["pixel_values"], torch.cat([alone[row]["pixel_values"] for row in rows]))
        seen += [list(alone).index(row) for row in rows]
    assert seen != sorted(seen) == list(range(2, 12))  # the first two are held out
    run(trainer)
    assert np.isfinite(losses(tmp_path)).all() and len(losses(tmp_path)) == 6
    assert any("eval_loss" in entry for entry in trainer.state.log_history)


class Levels(TrainerCallback):
    """Notes the share of detailed tokens that the model is configured to keep."""

    def on_step_end(self, args, state, control, model, **kwargs):
        self.keep_ratio = model.config.scale_compression_config.keep_ratio


def test_scale_compression_in_training(data, finished, tmp_path):
    options = {"keep_ratio": 0.5, "queries": "question", "scoring_layer": 2, "positions": "keep"}
    trainer = make_trainer(data, tmp_path, options | {"train": "language_model"}, save_strategy="no")
    trainer.add_callback(levels := Levels())
    run(trainer)
    assert levels.keep_ratio == 0.5 and losses(tmp_path)[0] != pytest.approx(losses(finished)[0], rel=1e-3)
    config = json.loads((tmp_path / "config.json").read_text())
    expected = {"keep_ratio": 0.5, "queries": "question", "layer": 2, "positions": "keep"}
    assert expected.items() <= config["scale_compression_config"].items()


def test_an_adapter_s_settings_are_told_to_merge_them(data):
    def told(**settings):
        return next_step("mine", FinetuneArguments(train_data=data, **settings)).split("mine-merged")[1]

    options = {"keep_ratio": 0.5, "queries": "question", "scoring_layer": 2, "positions": "keep"}
    assert told(**options) == " --keep-ratio 0.5 --queries question --scoring-layer 2 --positions keep"
    assert told(scoring_layer=0) == " --scoring-layer 0" and told() == ""


WRONG_SETTINGS = [
    (["--keep_ratio", "1.5"], "`keep_ratio` must be a number above 0 and at most 1"),
    (["--queries", "answer"], "`queries` must be one of all, question, none, got 'answer'"),
    (["--positions", "gaps"], '`positions` must be "repack" or "keep"'),
    (["--scoring_layer", "-1"], "`layer` must be the index of a language model layer"),
    (["--scoring_layer", "99"], "`scale_compression_config.layer` is 99, but the language model has"),
    (["--keep_ratio_range", "0.9", "0.2"], "`keep_ratio_range` must be two shares, 0 < low <= high <= 1, got 0.9 and"),
    (["--keep_ratio_range", "0.5"], "`keep_ratio_range` must be two shares, the lowest and the highest, got [0.5]"),
    (["--keep_ratio_range", "0.5", "1", "--keep_ratio_full", "2"], "`keep_ratio_full` must be a share of the steps"),
    (["--keep_ratio_full", "0.5"], "`keep_ratio_full` needs `keep_ratio_range`"),
    ("queries: 5", "`queries`"),
    ("keep_ratio_range: 0.5", "`keep_ratio_range` must be two shares, the lowest and the highest, got 0.5"),
    ("keep_ratio_range: [low, high]", "`keep_ratio_range` must be two shares, 0 < low <= high <= 1, got 'low' and"),
]


@pytest.mark.parametrize("given, sentence", WRONG_SETTINGS)
def test_wrong_settings_are_refused_before_anything_is_loaded(monkeypatch, tmp_path, given, sentence):
    """On the command line or in a file; there are no data, which would be said next."""
    if isinstance(given, str):
        (tmp_path / "settings.yaml").write_text(given)
        given = ["--config", str(tmp_path / "settings.yaml")]
    command = ["finetune.py", "--train_data", "nothing.jsonl", "--output_dir", str(tmp_path), "--report_to", "none"]
    monkeypatch.setattr(sys, "argv", [*command, "--use_cpu", "true", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).startswith(f"error: {sentence}")


def test_a_range_without_images_is_refused(tmp_path):
    chat = [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": "bread"}]
    (tmp_path / "chats.jsonl").write_text(json.dumps({"messages": chat}))
    with pytest.raises(ValueError, match="chats.jsonl has no images"):
        make_trainer(str(tmp_path / "chats.jsonl"), tmp_path / "mine", {"keep_ratio_range": [0.2, 0.9]})


# Several processes


def launch(data: str, folder: Path, command: list[str], options: dict) -> None:
    """A script in two processes on the CPU."""
    command = [sys.executable, "-m", *command, *[part for pair in options.items() for part in pair]]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "examples")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_two_processes_follow_the_same_path(data, finished, tmp_path):
    """Each with half of every batch."""
    command = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no".split()
    command += ["--dynamo_backend", "no", f"{ROOT}/examples/finetune.py", "--train_data", data, "--model", CHECKPOINT]
    options = training(tmp_path, per_device_train_batch_size=1, save_strategy="no", ddp_backend="gloo")
    launch(data, tmp_path, command, {f"--{name}": str(value) for name, value in options.items()})
    assert losses(tmp_path) == pytest.approx(losses(finished), rel=1e-3)


@pytest.mark.slow
def test_weights_shared_by_two_processes_follow_the_same_path(data, processor, tmp_path):
    script = str(Path(__file__).with_name("sharded_run.py"))
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, data, CHECKPOINT]
    launch(data, tmp_path, [*command, str(tmp_path)], {})
    result, weights = json.loads((tmp_path / "result.json").read_text()), torch.load(tmp_path / "weights.pt")
    assert result["modules"] == 1 + 6 + 4  # the model, the layers of the tower and of the language model
    assert "FSDP" in result["error"]  # of a forward pass with scale compression
    model = load_model(FinetuneArguments(train_data=data, model=CHECKPOINT)).eval()
    chats, collate = load_chats(data), ChatCollator(processor)
    pairs = [collate([chats[2 * step], chats[2 * step + 1]]) for step in range(STEPS)]
    assert result["losses"] == pytest.approx(train(model, pairs), rel=1e-3)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=2e-4, rtol=1e-2)


def test_a_run_that_would_learn_nothing_is_refused(data, tmp_path):
    options = training(tmp_path, max_steps=-1, num_train_epochs=1, gradient_accumulation_steps=64, warmup_steps=0.03)
    arguments = FinetuneArguments(train_data=data, model=CHECKPOINT)
    with pytest.raises(ValueError, match=r"gives 1 step\(s\) in batches of \d+, all of them warm-up"):
        run(Trainer(**trainer_arguments(arguments, TrainingArguments(**options))), arguments)


def test_a_run_goes_on_with_the_settings_it_began_with(data, tmp_path):
    def go(shares=(0.2, 0.9), **settings):
        arguments = FinetuneArguments(train_data=data, model=CHECKPOINT, keep_ratio_range=shares)
        options = training(tmp_path, max_steps=2, save_steps=1, **settings)
        run(Trainer(**trainer_arguments(arguments, TrainingArguments(**options))), arguments)

    go()
    go()  # there is nothing left to do
    told = (tmp_path / "training.md").read_text()
    assert "learning rate" in told and "keep_ratio from 0.2 to 0.9, another in every step, and 1 in 25% of" in told
    with pytest.raises(ValueError, match="holds a run with learning_rate .*, not 0.002"):
        go(learning_rate=0.002)
    with pytest.raises(ValueError, match=r"holds a run with keep_ratio_range \[0.2, 0.9\], not \[0.3, 0.9\]"):
        go(shares=(0.3, 0.9))


@pytest.mark.parametrize(
    "text, message",
    [
        ("\n", "is empty; it needs a chat per line"),
        ('{"messages": [{"role": "user", "content": "Read."}]}', "line 1: the chat has no message of the assistant"),
        ('{"messages": [', "line 1: not a chat in one line as finetune_data.py describes it"),
    ],
)
def test_chats_that_teach_nothing_are_refused(tmp_path, text, message):
    (tmp_path / "chats.jsonl").write_text(text, encoding="utf-8-sig")
    with pytest.raises(ValueError, match=message):
        load_chats(str(tmp_path / "chats.jsonl"))


def test_attention_whose_gradients_can_be_nan_is_off(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["finetune.py", "--output_dir", "mine", "--train_data", "missing.jsonl"])
    torch.backends.cuda.enable_cudnn_sdp(True)
    with pytest.raises(SystemExit):
        main()
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_a_training_ends_where_its_gradients_are_no_numbers(data, tmp_path):
    trainer = make_trainer(data, tmp_path, max_steps=4, save_steps=1)
    weight = trainer.model.lm_head.weight

    class Breaks(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 2:
                weight.data[0, 0] = float("nan")

    trainer.add_callback(Breaks())
    with pytest.raises(ValueError, match="The gradients became nan by step 3"):
        run(trainer)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-1", "checkpoint-2"]
    assert not (tmp_path / "model.safetensors").exists()
