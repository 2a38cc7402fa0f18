"""`finetune.py` with TRL's `SFTTrainer`: the same data and options, and the options of `SFTConfig`.

python examples/finetune_sft.py --config examples/configs/lora.yaml --train_data chats.jsonl --output_dir mine
"""

from finetune import main
from trl import SFTConfig, SFTTrainer


if __name__ == "__main__":
    main(SFTConfig, SFTTrainer)
