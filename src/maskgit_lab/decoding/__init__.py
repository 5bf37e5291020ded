"""Decoding: a grid with masks in, a full grid out; the model is known as a callable only."""
