"""The stages of a training. Each is "train it, or find it": in the run's folder, in the store, or in a given file."""
