"""Help to train these models with Trainer and those of TRL. Not part of a Hub folder."""
