"""MaskGIT for experiments: the paper's training, schedules, decoding and evaluation, with one folder a section."""

__version__ = "0.1.0"
