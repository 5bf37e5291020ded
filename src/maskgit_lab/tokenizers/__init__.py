"""Tokenizers: images to grids of codes and back."""
