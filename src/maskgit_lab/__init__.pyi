from maskgit_lab.sampling.pipeline import Pipeline as Pipeline

__all__ = ["Pipeline", "__version__"]

__version__: str
