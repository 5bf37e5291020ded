"""Networks: the paper's at any size, as plain torch modules with plain constructor values."""
