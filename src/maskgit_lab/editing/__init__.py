"""Editing: holes in pictures and in grids of tokens, hiding, blending, and sliding windows."""
