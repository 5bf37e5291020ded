"""Where numbers and pictures go besides a run's folder: Weights & Biases, TensorBoard, CSV, or any of Lightning's."""
