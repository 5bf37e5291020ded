"""Every number that is measured: images of any source to features, scores and rows of results."""
