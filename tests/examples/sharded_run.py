"""Three steps with the weights shared by two processes (FSDP2, gloo), for `test_finetune.py`; accelerate has FSDP for GPUs only.

torchrun --nproc_per_node 2 sharded_run.py CHATS CHECKPOINT OUTPUT
"""  # noqa: E501

import json
import sys
import time

import torch
import torch.distributed as dist
from finetune_data import ChatCollator, load_chats
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule, fully_shard

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor


STEPS, PER_PROCESS = 3, 1


def train(model, batches: list[dict], rank: int = 0, processes: int = 1) -> list[float]:
    """The losses of the answers' tokens in all processes together; each has the loss of its own part of a batch."""
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-4), []
    for number in range(STEPS):
        parts = batches[number * processes : (number + 1) * processes]
        tokens = sum((part["labels"] >= 0).sum() for part in parts)
        loss = model(**parts[rank], num_items_in_batch=tokens).loss
        (loss * processes).backward()  # gradients are averaged over the processes
        optimizer.step()
        optimizer.zero_grad()
        total = loss.detach().clone()
        if processes > 1:
            dist.all_reduce(total)
        losses.append(total.item())
    return losses


def main() -> None:
    chats_file, checkpoint, output = sys.argv[1:]
    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    chats, collate = load_chats(chats_file), ChatCollator(MiniMonkeyProcessor.from_pretrained(checkpoint))
    batches = [collate([chats[index]]) for index in range(STEPS * processes)]
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    for module in model.modules():
        if type(module).__name__ in model._no_split_modules:
            fully_shard(module)
    fully_shard(model)
    sharded = sum(isinstance(module, FSDPModule) for module in model.modules())
    result = {"losses": train(model, batches, rank, processes), "modules": sharded}
    try:
        model(**batches[0], keep_ratio=0.5)
    except ValueError as error:
        result["error"] = str(error)
    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        torch.save({name: weight.clone() for name, weight in weights.items()}, f"{output}/weights.pt")
        with open(f"{output}/result.json", "w") as file:
            json.dump(result, file)
    time.sleep(1)  # as in `finetune.run`
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
