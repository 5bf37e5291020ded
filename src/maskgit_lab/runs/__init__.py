"""Runs on the disk, and what carries one through a command. Plain values only: no networks, no Lightning."""
