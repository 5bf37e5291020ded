"""Edits of files and folders: pictures that are read, results that are found or written as PNG, and overviews."""
