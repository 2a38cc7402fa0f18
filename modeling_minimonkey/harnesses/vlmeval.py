"""Mini-Monkey for VLMEvalKit, which has no plug-ins: add two lines to its vlmeval/config.py,

    from modeling_minimonkey.harnesses.vlmeval import MiniMonkeyForVLMEval
    supported_VLM["minimonkey"] = partial(MiniMonkeyForVLMEval, model_path="you/mini-monkey", keep_ratio=0.5)

and run `python run.py --model minimonkey --data DocVQA_VAL`. Questions and scores are the harness's own; tiles, the
sentence that asks for a short answer and the length of answers are those of the published evaluation.
"""

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from vlmeval.vlm.base import BaseModel

from .published_evaluation import MAX_NEW_TOKENS, instruction_of, setting_of


class MiniMonkeyForVLMEval(BaseModel):
    """
    The model for VLMEvalKit.

    Args:
        model_path (`str`): folder or Hub id.
        revision (`str`, *optional*, defaults to `"main"`): of the Hub id.
        device (`str`, *optional*): by default `"cuda"` where there is a GPU, else `"cpu"`.
        dtype (`str`, *optional*, defaults to `"bfloat16"`): of the weights.
        keep_ratio (`float`, *optional*): share of the detailed tokens that stay; by default the model's own.
        pyramid (`str`, *optional*): a published setting for every data set, in place of the data set's.
        complementarity (`str`, *optional*): in place of the setting's.
        kwargs: options of `generate`, such as `max_new_tokens` (512) and `do_sample` (`False`).
    """

    INSTALL_REQ = False
    INTERLEAVE = True

    def __init__(
        self,
        model_path: str,
        revision: str = "main",
        device: str | None = None,
        dtype: str = "bfloat16",
        keep_ratio: float | None = None,
        pyramid: str | None = None,
        complementarity: str | None = None,
        **kwargs,
    ):
        super().__init__()
        self.pyramid = pyramid
        self.images_kwargs = {} if complementarity is None else {"complementarity": complementarity}
        self.generate_kwargs = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False} | kwargs
        if keep_ratio is not None:
            self.generate_kwargs["keep_ratio"] = keep_ratio
        source = {"pretrained_model_name_or_path": model_path, "revision": revision, "trust_remote_code": True}
        # The harness names images by the paths where it put them
        self.processor = AutoProcessor.from_pretrained(**source, allow_paths=True)
        self.model = AutoModelForImageTextToText.from_pretrained(**source, dtype=dtype).eval()
        self.model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def use_custom_prompt(self, dataset: str) -> bool:
        """Never: the data set writes the question, `generate_inner` adds what the published evaluation adds."""
        return False

    @torch.no_grad()
    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        """
        Answer one question.

        Args:
            message (`list[dict[str, str]]`): texts and images in order, each with `type` and `value` (text or path).
            dataset (`str`, *optional*): the harness's name of the data set; `None` for a question from no data set.
        """
        keys = {"image": "url", "text": "text"}
        content = [{"type": item["type"], keys[item["type"]]: item["value"]} for item in message]
        texts = [item for item in content if item["type"] == "text"]
        if texts:
            texts[-1]["text"] += instruction_of(dataset or "")
        setting = self.pyramid or setting_of(dataset or "", len(content) - len(texts))
        chat = [{"role": "user", "content": content}]
        inputs = self.processor.prepare_chat(chat, pyramid=setting, **self.images_kwargs)
        inputs = inputs.to(self.model.device, self.model.dtype)
        sequences = self.model.generate(**inputs, **self.generate_kwargs)
        answer = sequences[0, inputs["input_ids"].shape[1] :]
        return self.processor.decode(answer, skip_special_tokens=True).strip()
