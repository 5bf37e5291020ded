"""Hydra's way to the sweeps of this suite: its sweeper, and its launcher on this machine."""
