"""What this package uses of vLLM and SGLang, none of which promises to stay: without it the package breaks."""

import ast
from pathlib import Path


# Module: name of a class or function, or of an object: its methods and their arguments, which are called or overridden
VLLM = {
    "vllm": {"ModelRegistry": {}},
    "vllm.logger": {"init_logger": {}},
    "vllm.model_executor.models.config": {
        "MODELS_CONFIG_MAP": {},
        "VerifyAndUpdateConfig": {"verify_and_update_model_config": ["model_config"]},
    },
    "vllm.renderers.registry": {
        "RENDERER_REGISTRY": {},
        "RendererRegistry": {"register": ["self", "renderer_mode", "module", "class_name"]},
    },
    "vllm.tokenizers.registry": {
        "TokenizerRegistry": {},
        "_TokenizerRegistry": {"register": ["self", "tokenizer_mode", "module", "class_name"]},
    },
    "vllm.tokenizers.hf": {"CachedHfTokenizer": {}},
    "vllm.renderers.hf": {
        "HfRenderer": {
            "render_messages": ["self", "messages", "params"],
            "render_messages_async": ["self", "messages", "params"],
        }
    },
    "vllm.multimodal": {"MULTIMODAL_REGISTRY": {}},
    "vllm.multimodal.inputs": {"MultiModalFieldConfig": {"batched": ["modality", "keep_on_cpu"]}},
    "vllm.multimodal.parse": {"ImageSize": {}, "ImageProcessorItems": {"get_image_size": ["self", "item_idx"]}},
    "vllm.multimodal.processing.context": {
        "InputProcessingContext": {"get_merged_mm_kwargs": ["self", "kwargs"], "get_mm_config": ["self"]},
        "BaseProcessingInfo": {"get_hf_processor": ["self"], "get_hf_config": ["self"]},
    },
    "vllm.multimodal.processing.processor": {
        "BaseMultiModalProcessor": {
            "apply": ["self", "inputs", "timing_ctx"],
            "_get_hf_mm_inputs": ["self", "mm_items", "hf_kwargs"],
            "_postprocess_hf_mm_data": ["self", "mm_inputs", "hf_processor_mm_kwargs", "processed_data"],
        },
        "HFMultiModalInputs": {},
    },
    "vllm.config.multimodal": {"MultiModalConfig": {"merge_mm_processor_kwargs": ["self", "inference_kwargs"]}},
    "vllm.model_executor.models.transformers.base": {"Base": {"recursive_replace": ["self"]}},
    "vllm.model_executor.models.transformers": {"TransformersMultiModalForCausalLM": {}},
    "vllm.model_executor.models.transformers.multimodal": {
        "MultiModalDummyInputsBuilder": {},
        "MultiModalProcessingInfo": {
            "get_max_image_tokens": ["self"],
            "get_image_size_with_most_features": ["self"],
            "_get_size_with_most_tokens": ["self", "candidates", "count"],
            "_get_num_image_tokens": ["self", "size"],
        },
        "MultiModalProcessor": {
            "_get_num_image_patches": ["self", "hf_inputs", "mm_data", "num_images"],
            "_get_mm_fields_config": ["self", "hf_inputs", "hf_processor_mm_kwargs"],
            "_apply_hf_processor_main": ["self", "mm_items", "hf_kwargs"],
        },
        "MultiModalMixin": {"_process_image_input": ["self"]},
    },
}
# Words that have to be somewhere in a module: names of fields, and the order in which things are done
VLLM_WORDS = {
    "vllm.model_executor.models.transformers.multimodal": [
        '_replacement_ids"]',
        '_replacement_sizes"]',
        'hf_inputs["num_image_patches"] = self._get_num_image_patches(',
        "return self._finalize_hf_mm_data(",
        "self._process_image_input,",
    ],
    "vllm.multimodal.processing.processor": [
        "processed_data.update(passthrough_data)",
        "return self._postprocess_hf_mm_data(",
    ],
    "vllm.model_executor.models.transformers.base": [
        "self.recursive_replace()",
        "self.text_config._attn_implementation = VLLM_ATTN_IMPL",
    ],
    "vllm.config.model": ["tokenizer_mode", "cls.verify_and_update_model_config(self)"],
}
SGLANG = {
    "sglang.srt.models.transformers": {
        "TransformersBase": {"__init__": ["self", "config"]},
    },
}
SGLANG_WORDS = {
    "sglang.srt.models.transformers": [
        'self.text_config._attn_implementation = "sglang"',  # before the model is made, which knows an engine by it
    ],
}


def missing(source: Path, uses: dict, words: dict) -> list[str]:
    """What a source, the folder with the package, lacks of `uses` and `words`."""
    found = []
    for module in uses.keys() | words.keys():
        path = source.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.exists():
            found.append(module)
            continue
        text = path.read_text()
        found += [f"{module}: {word}" for word in words.get(module, []) if word not in text]
        tree = ast.parse(text)
        for name, methods in uses.get(module, {}).items():
            found += _missing_of(tree, text, module, name, methods)
    return found


def _missing_of(tree: ast.Module, text: str, module: str, name: str, methods: dict) -> list[str]:
    if name not in text:
        return [f"{module}.{name}"]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name]
    if methods and not classes:
        return [f"class {module}.{name}"]
    functions = {
        node.name: node
        for each in classes
        for node in each.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found = []
    for method, arguments in methods.items():
        if method not in functions:
            found.append(f"{module}.{name}.{method}")
            continue
        given = functions[method].args
        have = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        if not set(arguments) <= set(have):
            found.append(f"{module}.{name}.{method}({', '.join(arguments)}), it has {have}")
    return found
