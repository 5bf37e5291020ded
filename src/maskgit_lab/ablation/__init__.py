"""Results and what is drawn from them; it reads results, never models."""
