"""What each verb does; with `config.py`, the only place that knows Hydra."""
