"""The published procedure of scale compression, in our own words: what the benchmark compares ours with.

Two decoder layers run over the whole prompt with eager attention, which holds the whole attention matrices in memory.
Those of the second one, averaged over the heads and over all tokens after the detailed ones, score the detailed
tokens; half of them stay. The embeddings that are kept, numbered anew, then go through the whole model. Here that last
part runs with sdpa, and only the last token's logits are computed, which the published code does not do.
"""

import torch
from transformers import LlamaModel

from modeling_minimonkey.generation_minimonkey import CACHE


class PublishedPrefill:
    """
    Time to the first token of one prompt after the other, as the procedure knows no batches.

    Args:
        language_model (`LlamaModel`): whose weights are shared.
        head (`nn.Linear`): from hidden states to logits.
    """

    def __init__(self, language_model: LlamaModel, head: torch.nn.Linear):
        self.language_model, self.head = language_model, head
        config = type(language_model.config)(**language_model.config.to_dict() | {"num_hidden_layers": 2})
        with torch.device("meta"):
            self.two_layers = LlamaModel._from_config(config, attn_implementation="eager").eval()
        self.two_layers.rotary_emb = language_model.rotary_emb
        own = self.two_layers.state_dict()
        weights = {name: tensor for name, tensor in language_model.state_dict().items() if name in own}
        self.two_layers.load_state_dict(weights, assign=True)

    @torch.no_grad()
    def kept(self, embeds: torch.Tensor, detailed: torch.Tensor, keep_ratio: float) -> torch.Tensor:
        """
        Which tokens stay, bool `(length,)`.

        Args:
            embeds (`torch.Tensor` of shape `(1, length, hidden_size)`): the prompt, image features in place.
            detailed (`torch.BoolTensor` of shape `(length,)`): True at the detailed tokens, which are consecutive.
            keep_ratio (`float`): share of them that stays.
        """
        outputs = self.two_layers(inputs_embeds=embeds, output_attentions=True, use_cache=False)
        tokens = detailed.nonzero()[:, 0]
        after = int(tokens[-1]) + 1
        scores = outputs.attentions[1][0, :, after:, tokens].mean(dim=(0, 1))
        kept = ~detailed
        kept[tokens[scores.topk(int(len(tokens) * keep_ratio)).indices]] = True
        return kept

    @torch.no_grad()
    def first_tokens(self, embeds: torch.Tensor, detailed: torch.Tensor, keep_ratio: float) -> tuple[list[int], int]:
        """The first token after each row of `embeds`, `(rows, length, hidden_size)`, and the bytes of the caches."""
        tokens, size = [], 0
        for row in embeds:
            kept = self.kept(row[None], detailed, keep_ratio)
            outputs = self.language_model(inputs_embeds=row[None, kept], use_cache=True)
            tokens.append(int(self.head(outputs.last_hidden_state[0, -1]).argmax()))
            size += cache_bytes(outputs)
        return tokens, size


def cache_bytes(outputs) -> int:
    """Bytes of the keys and values that a model returned."""
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in outputs[CACHE].layers)
