"""What the server of a sweep's jobs imports first: it ends with the command, also while it imports the rest."""

from __future__ import annotations

from maskgit_lab import lifeline

lifeline.end_with_parent()
