"""What is seen of a training while it goes on: `metrics.csv`, loggers and pictures. Nothing here changes a result."""
