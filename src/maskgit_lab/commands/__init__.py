"""The verbs, a page each."""
