"""What vLLM calls in each of its processes once this package is installed (entry point `vllm.general_plugins`)."""

ARCHITECTURE = "MiniMonkeyForConditionalGeneration"
TOKENIZER_MODE = "minimonkey"  # how vLLM names a tokenizer and what renders its chats together


def register() -> None:
    """
    Make Mini-Monkey known to vLLM: its model, with compression, and the check of its chats. Can be called again.

    Checkpoints then load without `--trust-remote-code`, as the Auto classes know them, too.
    """
    from vllm import ModelRegistry
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP, VerifyAndUpdateConfig
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    import processing_minimonkey  # noqa: F401  (registers the processors; the import of this package did the models)

    class ChatsAreChecked(VerifyAndUpdateConfig):
        @staticmethod
        def verify_and_update_model_config(model_config) -> None:
            if model_config.tokenizer_mode in ("auto", "hf"):
                model_config.tokenizer_mode = TOKENIZER_MODE

    ModelRegistry.register_model(ARCHITECTURE, "modeling_minimonkey.engines.vllm_model:MiniMonkeyForVLLM")
    MODELS_CONFIG_MAP[ARCHITECTURE] = ChatsAreChecked
    if TOKENIZER_MODE not in RENDERER_REGISTRY.renderers:
        RENDERER_REGISTRY.register(TOKENIZER_MODE, "modeling_minimonkey.engines.vllm_chat", "CheckedRenderer")
        TokenizerRegistry.register(TOKENIZER_MODE, "vllm.tokenizers.hf", "CachedHfTokenizer")
