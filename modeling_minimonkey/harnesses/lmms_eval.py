"""Mini-Monkey for lmms-eval, which finds it by its entry point:

    lmms-eval --model minimonkey --model_args pretrained=you/mini-monkey,keep_ratio=0.5 --tasks docvqa_val

Tasks and scores are the harness's own. Tiles are those of the published evaluation, by the name of the task.
"""

import torch
from accelerate import Accelerator
from lmms_eval import utils
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from lmms_eval.protocol import ChatMessages
from tqdm import tqdm
from transformers import AutoModelForImageTextToText, AutoProcessor

from .published_evaluation import MAX_NEW_TOKENS, setting_of


class MiniMonkeyForLmmsEval(lmms):
    """
    The model for lmms-eval.

    Args:
        pretrained (`str`): folder or Hub id.
        revision (`str`, *optional*, defaults to `"main"`): of the Hub id.
        batch_size (`int`, *optional*, defaults to 1): questions per batch.
        device (`str`, *optional*): by default that of this process.
        dtype (`str`, *optional*, defaults to `"bfloat16"`): of the weights.
        keep_ratio (`float`, *optional*): share of the detailed tokens that stay; by default the model's own.
        pyramid (`str`, *optional*): a published setting for every task, in place of the task's.
        complementarity (`str`, *optional*): in place of the setting's.
        attn_implementation (`str`, *optional*): see `from_pretrained`.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str,
        revision: str = "main",
        batch_size: int | str = 1,
        device: str | None = None,
        dtype: str = "bfloat16",
        keep_ratio: float | None = None,
        pyramid: str | None = None,
        complementarity: str | None = None,
        attn_implementation: str | None = None,
    ):
        super().__init__()
        accelerator = Accelerator()
        self._rank, self._world_size = accelerator.process_index, accelerator.num_processes
        self.accelerator = accelerator  # the harness gathers the processes' answers with it
        self.batch_size, self.pyramid = int(batch_size), pyramid
        self.images_kwargs = {} if complementarity is None else {"complementarity": complementarity}
        self.generate_kwargs = {} if keep_ratio is None else {"keep_ratio": float(keep_ratio)}
        source = {"pretrained_model_name_or_path": pretrained, "revision": revision, "trust_remote_code": True}
        self.processor = AutoProcessor.from_pretrained(**source)
        self.model = AutoModelForImageTextToText.from_pretrained(
            **source, dtype=dtype, attn_implementation=attn_implementation
        )
        self.model.to(device or accelerator.device).eval()

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answer the requests, in their order; those of a batch share tile settings and generation options."""
        chats, groups = [], {}
        for index, request in enumerate(requests):
            _, doc_to_messages, gen_kwargs, doc_id, task, split = request.args
            messages = ChatMessages(messages=doc_to_messages(self.task_dict[task][split][doc_id]))
            chats.append(messages.to_hf_messages())
            setting = self.pyramid or setting_of(task, len(messages.extract_media()[0]))
            group = groups.setdefault(repr((setting, sorted(gen_kwargs.items()))), (setting, gen_kwargs, []))
            group[-1].append(index)
        answers: dict[int, str] = {}
        progress = tqdm(total=len(requests), disable=self.rank != 0, desc="answering")
        for setting, gen_kwargs, indices in groups.values():
            for batch in utils.chunks(indices, n=self.batch_size):
                texts = self._answer([chats[index] for index in batch], setting, dict(gen_kwargs))
                for index, text in zip(batch, texts, strict=True):
                    answers[index] = text
                    self.cache_hook.add_partial("generate_until", (requests[index].args[0], gen_kwargs), text)
                progress.update(len(batch))
        progress.close()
        return [answers[index] for index in range(len(requests))]

    @torch.no_grad()
    def _answer(self, chats: list[list[dict]], setting: str, gen_kwargs: dict) -> list[str]:
        inputs = self.processor.prepare_chat(chats, pyramid=setting, **self.images_kwargs)
        inputs = inputs.to(self.model.device, self.model.dtype)
        stops = gen_kwargs.pop("until", None) or []
        do_sample = (gen_kwargs.get("temperature") or 0) > 0
        known = ("max_new_tokens", "num_beams", *(("temperature", "top_p") if do_sample else ()))
        options = {name: gen_kwargs[name] for name in known if gen_kwargs.get(name) is not None}
        options = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": do_sample} | options
        sequences = self.model.generate(**inputs, **options, **self.generate_kwargs)
        texts = self.processor.batch_decode(sequences[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        for stop in [stops] if isinstance(stops, str) else stops:
            texts = [text.split(stop)[0] if stop else text for text in texts]
        return [text.strip() for text in texts]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError("Tasks that score given answers aren't supported, only those that generate.")

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        raise NotImplementedError("Tasks of several rounds aren't supported.")


def manifest() -> ModelManifest:
    """What the entry point `lmms_eval.models` returns."""
    return ModelManifest("minimonkey", chat_class_path=f"{__name__}.{MiniMonkeyForLmmsEval.__name__}")
