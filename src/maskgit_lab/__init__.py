"""MaskGIT for experiments: the paper's training, schedules, decoding and evaluation, with one folder per section."""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Pipeline", "__version__"]


def __getattr__(name: str) -> object:
    """Imports `Pipeline`, and with it torch, on first use.

    It is imported by name, and `__init__.pyi` declares it for type checkers: an import statement here would make the
    transformer part of the code of everything, including the tokenizer (see `code.py`).
    """
    if name != "Pipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("maskgit_lab.sampling.pipeline").Pipeline
