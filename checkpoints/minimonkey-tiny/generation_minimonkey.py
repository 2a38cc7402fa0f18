# trf-ignore: TRF028 (the license is in the file LICENSE)
"""`generate` with the Scale Compression Mechanism (SCM): from shortened prompts to sequences with the whole prompt."""

from .transformers_releases import CAN_PREFILL_IN_CHUNKS, take_cache  # first: checks Transformers' version


# isort: split
import copy
import inspect
from typing import Any

import torch
from transformers import (
    Cache,
    GenerationConfig,
    GenerationMixin,
    InternVLModel,
    LogitsProcessorList,
    SuppressTokensLogitsProcessor,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput

from .compressed_prompt import CompressedBeginning, Prompt, WholePromptStreamer, beginning_aside, shorten_prompt
from .input_checks import check_images, check_length, check_prompt
from .scale_compression import DETAILED_LEVEL
from .transformers_releases import cache_argument


CACHE = cache_argument(InternVLModel.forward)
# Names of the arguments that may follow `logits_processor` by position, after `self` and the first three.
MORE_ARGUMENTS = list(inspect.signature(GenerationMixin.generate).parameters)[4:]


class ScaleCompressionGenerationMixin(GenerationMixin):
    """[`~GenerationMixin.generate`] for a model whose `model` is a [`MiniMonkeyModel`]."""

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.LongTensor | None = None,
        generation_config: GenerationConfig | None = None,
        logits_processor: LogitsProcessorList | None = None,
        *args,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.LongTensor | None = None,
        position_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        **kwargs,
    ):
        r"""
        [`~GenerationMixin.generate`] with SCM. Dropped tokens are removed from the prompt before the first step, so
        the cache is shorter in every layer; the returned ids still start with the whole prompt.

        - Logits processors, stopping criteria and `prefix_allowed_tokens_fn` see the shortened prompt; returned
          attentions, hidden states and caches are those of the shortened prompt, too.
        - A returned cache records what was dropped: to continue, pass it with the whole conversation, as without SCM.
          Images after a cached beginning are kept whole.
        - Nothing is dropped with `inputs_embeds`, without images or without detailed tiles.

        Args:
            inputs (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
                The prompt, which may also be given as `input_ids`.
            generation_config (`GenerationConfig`, *optional*):
                As in [`~GenerationMixin.generate`]; `max_length` and `min_length` count the whole prompt.
            attention_mask (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
                0 at padding. By default all tokens count except those equal to `pad_token_id`, unless that id also
                ends answers.
            keep_ratio (`float`, *optional*):
                Share of each image's detailed tokens that is kept, above 0 and at most 1; 1 gives the results of a
                model without SCM. Defaults to `config.scale_compression_config.keep_ratio`.
            logits_processor, args, position_ids, pixel_values, tile_levels, mm_encoder_outputs, kwargs:
                Everything else that `generate` and `forward` take.

        Returns:
            As [`~GenerationMixin.generate`].

        Raises:
            ValueError: the inputs do not fit each other, or a cache can't be continued with them.
        """
        kwargs |= dict(zip(MORE_ARGUMENTS, args, strict=False))
        if kwargs.get("max_length") is not None:
            kwargs.setdefault("max_new_tokens", None)  # a checkpoint's own default would win over what was asked for
        if kwargs.get("tokenizer") is not None:  # for `stop_strings`; `transformers serve` gives the processor
            kwargs["tokenizer"] = getattr(kwargs["tokenizer"], "tokenizer", kwargs["tokenizer"])
        if inputs is not None and input_ids is not None:
            raise ValueError("Specify `inputs` or `input_ids`, not both: they are two names of the prompt.")
        cache = take_cache(kwargs)
        ids, settings = input_ids if inputs is None else inputs, GenerationSettings(kwargs, generation_config, self)
        embeds = settings["inputs_embeds"]
        if ids is not None or embeds is not None:  # without a prompt, `generate` begins with the first token
            only_ids = ids if embeds is None else None
            check_prompt(self, only_ids, embeds, attention_mask, position_ids, cache is not None)
        check_images(self.config, pixel_values, mm_encoder_outputs)
        keep_ratio = self.model.check_compression(keep_ratio, pixel_values, tile_levels)
        if not self._renumbers(tile_levels, keep_ratio, cache, settings):
            settings.check_length(ids, attention_mask, position_ids, cache)  # before the vision tower runs
        if pixel_values is not None:
            names = ("vision_feature_layer", "vision_feature_select_strategy")
            layers = {name: kwargs.pop(name) for name in names if name in kwargs}
            mm_encoder_outputs = {"image": self.model.encode_images(pixel_values, mm_encoder_outputs, **layers)}
        whole = Prompt(ids, attention_mask, position_ids, mm_encoder_outputs)
        self._check_prompt(whole, cache, settings)

        prompt, beginning = whole, CompressedBeginning.of(cache)
        if beginning is not None:
            prompt, beginning = self._continue_prompt(whole, beginning, cache, settings)
        elif not settings.has_embeddings and keep_ratio < 1.0 and not is_filled(cache):
            prompt, beginning = self._compress_prompt(whole, tile_levels, keep_ratio, settings)
            settings.check_length(prompt.input_ids, prompt.attention_mask, prompt.position_ids, cache)
        del whole, mm_encoder_outputs  # with the tower's outputs: a short prompt needs only its own features
        if prompt.has_images and settings["prompt_lookup_num_tokens"] is not None:
            # Prompt lookup would copy what follows an image token: more image tokens, which mean nothing in an answer.
            no_image = SuppressTokensLogitsProcessor([self.config.image_token_id], device=self.device)
            logits_processor = LogitsProcessorList([*(logits_processor or []), no_image])
        arguments = kwargs | prompt.arguments() | ({} if cache is None else {CACHE: cache})
        if beginning is not None:
            generation_config = settings.shorten(arguments, ids, prompt.input_ids)
            if arguments.get("streamer") is not None:
                arguments["streamer"] = WholePromptStreamer(arguments["streamer"], ids)
        with beginning_aside(cache):
            outputs = super().generate(prompt.input_ids, generation_config, logits_processor, **arguments)
        if beginning is None:
            return outputs
        if (filled := outputs.get(CACHE) if isinstance(outputs, ModelOutput) else cache) is not None:
            beginning.put_on(filled)
        return _with_whole_prompt(outputs, ids, prompt.input_ids.shape[1])

    def _renumbers(self, tile_levels, keep_ratio: float, cache: Cache | None, settings: "GenerationSettings") -> bool:
        """Whether tokens may leave the prompt, so that the others need fewer positions than the whole prompt."""
        is_on = keep_ratio < 1.0 and tile_levels is not None and not settings.has_embeddings and not is_filled(cache)
        return is_on and self.config.scale_compression_config.positions == "repack"

    def _check_prompt(self, prompt: Prompt, cache: Cache | None, settings: "GenerationSettings") -> None:
        if prompt.input_ids is None or settings.has_embeddings:
            if CompressedBeginning.of(cache) is not None:
                raise ValueError(
                    "A cache that was filled under compression goes on with `input_ids`, not with embeddings."
                )
            return
        if not prompt.has_images and not is_filled(cache) and (prompt.input_ids == self.config.image_token_id).any():
            raise ValueError("The prompt has image tokens, but `pixel_values` are missing.")
        if CAN_PREFILL_IN_CHUNKS or settings["prefill_chunk_size"] is None:
            return
        if prompt.has_images or is_filled(cache):
            raise ValueError(
                "`prefill_chunk_size` with images or after a cached beginning gives wrong tokens before Transformers "
                "5.23: leave it out, or install a later release."
            )

    def _compress_prompt(
        self, whole: Prompt, tile_levels: torch.LongTensor | None, keep_ratio: float, settings: "GenerationSettings"
    ) -> tuple[Prompt, CompressedBeginning | None]:
        """The prompt without the tokens that scale compression drops, and the record of it for the cache."""
        if not whole.has_images or tile_levels is None or not (tile_levels == DETAILED_LEVEL).any():
            return whole, None
        attention_mask = whole.attention_mask
        if attention_mask is None:
            attention_mask = settings.attention_mask(whole.input_ids)
        kept, position_ids = self.model.select_tokens(
            whole.input_ids,
            tile_levels=tile_levels,
            attention_mask=attention_mask,
            position_ids=whole.position_ids,
            mm_encoder_outputs=whole.mm_encoder_outputs,
            keep_ratio=keep_ratio,
        )
        positions = self.config.scale_compression_config.positions
        short = shorten_prompt(
            Prompt(whole.input_ids, attention_mask, position_ids, whole.mm_encoder_outputs),
            kept,
            image_mask=whole.input_ids == self.config.image_token_id,
            pad_token_id=self._padding_id(settings),
            padding=int(positions == "keep" and not self._allows_gaps(settings)),
        )
        width = short.input_ids.shape[1]
        real = attention_mask.to(torch.bool, copy=True)
        return short, CompressedBeginning(real, kept, width, True, positions, whole.input_ids.clone())

    def _allows_gaps(self, settings: "GenerationSettings") -> bool:
        """
        Whether a prompt without padding, whose mask `generate` drops, may have gaps between its positions. Elsewhere
        the library would take them for boundaries of packed sequences, and a column of padding keeps the mask. Where
        they are allowed, attention without a mask is faster: it skips what comes later.
        """
        has_cache = settings["use_cache"] is not False
        return has_cache and self.config.text_config._attn_implementation in ("eager", "sdpa")

    def _continue_prompt(
        self, whole: Prompt, beginning: CompressedBeginning, cache: Cache, settings: "GenerationSettings"
    ) -> tuple[Prompt, CompressedBeginning]:
        """The conversation in the columns of a cache that holds its compressed beginning, and that beginning."""
        if any(settings[name] is not None for name in ("prompt_lookup_num_tokens", "assistant_model")):
            raise ValueError(
                "Assisted decoding after a cached beginning gives wrong tokens in Transformers, also without scale "
                "compression: go on without `prompt_lookup_num_tokens` and `assistant_model`, or without the cache."
            )
        cached, (rows, length) = int(cache.get_seq_length()), whole.input_ids.shape
        # `generate` repeats the rows of a call for beams and returned sequences; a cache has them repeated already.
        repeats = max(settings["num_beams"] or 1, settings["num_return_sequences"] or 1)
        beginning = beginning.for_rows(cache, rows, repeats).crop(cached)
        seen = beginning.seen(cached)
        total = length if whole.attention_mask is None else whole.attention_mask.shape[1]
        is_whole = length == total
        new = total - seen
        if new < 1 or length not in (total, new):
            raise ValueError(
                f"The cache holds {seen} tokens of the conversation. Give `input_ids` and `attention_mask` of all of "
                f"it and at least one more; got {length} ids and a mask of {total}."
            )
        input_ids = whole.input_ids
        image_mask = input_ids == self.config.image_token_id
        mm_encoder_outputs = None
        if image_mask[:, length - new :].any():
            if not whole.has_images:
                raise ValueError("The new part of the conversation has image tokens, but `pixel_values` are missing.")
            mm_encoder_outputs = whole.features_from(image_mask, first_column=length - new)
        if whole.position_ids is not None and whole.position_ids.shape[-1] < new:
            raise ValueError(
                f"`position_ids` must have a column for each of the {new} new tokens, got the shape "
                f"{tuple(whole.position_ids.shape)}."
            )
        if is_whole:
            beginning.check_ids(input_ids)
            input_ids = beginning.continue_ids(input_ids, self._padding_id(settings))
        attention_mask, position_ids = beginning.continue_mask(whole.attention_mask, cached, new)
        if whole.position_ids is not None:
            position_ids = whole.position_ids
        return Prompt(input_ids, attention_mask, position_ids, mm_encoder_outputs), beginning

    def _padding_id(self, settings: "GenerationSettings") -> int:
        return settings.pad_token_id(self.get_input_embeddings().num_embeddings)


def _with_whole_prompt(outputs, prompt: torch.LongTensor, short: int):
    """What `generate` returned, ids or a dictionary, with the whole prompt in place of the first `short` columns."""
    sequences = outputs if isinstance(outputs, torch.Tensor) else outputs.sequences
    prompts = prompt.repeat_interleave(sequences.shape[0] // prompt.shape[0], dim=0)
    sequences = torch.cat((prompts, sequences[:, short:]), dim=1)
    if isinstance(outputs, torch.Tensor):
        return sequences
    outputs.sequences = sequences
    return outputs


class GenerationSettings:
    """
    The settings of one call of `generate`, from its arguments, the `generation_config` given to it, and the model's
    own, in this order. `settings["max_length"]` is the value that `generate` will use, or `None`.
    """

    def __init__(self, arguments: dict, given: GenerationConfig | None, model: GenerationMixin):
        self.arguments, self.given = arguments, given
        self.own, self.model_config = model.generation_config, model.config

    def __getitem__(self, name: str) -> Any:
        if name in self.arguments:
            return self.arguments[name]
        values = (getattr(self.given, name, None), getattr(self.own, name, None))
        return next((value for value in values if value is not None), None)

    @property
    def has_embeddings(self) -> bool:
        return self.arguments.get("inputs_embeds") is not None

    def check_length(self, ids, attention_mask, position_ids, cache: Cache | None) -> None:
        """Check the length of a prompt that no cache has begun; what goes on from one is checked by `forward`."""
        prompt = self["inputs_embeds"] if self.has_embeddings else ids
        if prompt is None or is_filled(cache):
            return
        more, max_length = self["max_new_tokens"], self["max_length"]
        if not isinstance(more, int):
            more = max_length - prompt.shape[1] if isinstance(max_length, int) else 0
        check_length(self.model_config, prompt, attention_mask, position_ids, more=max(more, 0))

    def pad_token_id(self, vocab_size: int) -> int:
        """The id for padding; 0 if none of the vocabulary is configured, which makes no difference under the mask."""
        pad_token_id = self["pad_token_id"]
        return pad_token_id if isinstance(pad_token_id, int) and 0 <= pad_token_id < vocab_size else 0

    def attention_mask(self, input_ids: torch.LongTensor) -> torch.LongTensor:
        """The mask that `generate` assumes if none is given."""
        pad_token_id, eos_token_id = self["pad_token_id"], self["eos_token_id"]
        ends = eos_token_id if isinstance(eos_token_id, list) else [eos_token_id]
        if pad_token_id is None or pad_token_id in ends:
            return torch.ones_like(input_ids)
        return (input_ids != pad_token_id).long()

    def shorten(self, arguments: dict, whole: torch.LongTensor, short: torch.LongTensor) -> GenerationConfig | None:
        """
        Reduce `max_length` and `min_length`, which count the `whole` prompt, by the tokens that the `short` one lacks,
        wherever they are set: in `arguments`, or in the configuration that is returned.
        """
        prompt_length, dropped = whole.shape[1], whole.shape[1] - short.shape[1]
        config = copy.deepcopy(self.given)
        for name, takes_precedence in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            length = self[name]
            if length is None or self[takes_precedence] is not None:
                continue
            if name == "max_length" and length <= prompt_length:
                raise ValueError(f"`max_length` is {length}, but the prompt alone has {prompt_length} tokens.")
            length = max(length - dropped, 0)
            if config is None or arguments.get(name) is not None:
                arguments[name] = length
            else:
                setattr(config, name, length)
        return config


def is_filled(cache: Cache | None) -> bool:
    """Whether a cache already holds tokens."""
    return cache is not None and bool(cache.get_seq_length() > 0)
