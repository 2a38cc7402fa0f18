"""`finetune.py` with TRL's `SFTTrainer`: the same data and options, and the options of `SFTConfig`.

python examples/finetune_sft.py --config examples/configs/lora.yaml --train_data chats.jsonl --output_dir mine
"""

from finetune import FinetuneArguments, run, trainer_arguments
from trl import SFTConfig, SFTTrainer, TrlParser


def main() -> None:
    arguments, training = TrlParser((FinetuneArguments, SFTConfig)).parse_args_and_config()
    run(SFTTrainer(**trainer_arguments(arguments, training)))


if __name__ == "__main__":
    main()
