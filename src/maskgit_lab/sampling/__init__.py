"""The library: a trained model as a pipeline from labels to images. It needs neither Lightning nor Hydra nor W&B."""
