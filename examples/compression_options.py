"""Settings of scale compression as options of `finetune.py` and `merge.py`, checked before a model is loaded."""

from transformers import PreTrainedConfig

from modeling_minimonkey.configuration_minimonkey import ScaleCompressionConfig


# The options' names, and what they set in `scale_compression_config`
OPTIONS = {"keep_ratio": "keep_ratio", "queries": "queries", "scoring_layer": "layer", "positions": "positions"}


def check_options(options: dict) -> None:
    """Raise `ValueError` for options (`None`: not given) that no model takes."""
    try:
        ScaleCompressionConfig(**_settings(options))
    except TypeError as error:  # from a file: whoever wrote it wants the sentence, no traceback
        raise ValueError(str(error)) from error


def set_options(config: PreTrainedConfig, options: dict) -> None:
    """Set those options in a model's configuration that are given; `ValueError` where they don't fit the model."""
    for name, value in _settings(options).items():
        setattr(config.scale_compression_config, name, value)
    config.validate()


def command_options(options: dict) -> str:
    """The given options as `merge.py` takes them, each with a space before it."""
    given = [(name, options[name]) for name in OPTIONS if options[name] is not None]
    return "".join(f" --{name.replace('_', '-')} {value}" for name, value in given)


def _settings(options: dict) -> dict:
    return {setting: options[name] for name, setting in OPTIONS.items() if options[name] is not None}
