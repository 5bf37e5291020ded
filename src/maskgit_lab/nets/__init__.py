"""Networks: plain torch modules with plain constructor values, the very ones of the paper at any size."""
