"""Losses: of the tokenizer (VQGAN, with MaskGIT's entropy loss) and of masked visual token modelling."""
