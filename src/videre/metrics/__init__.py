"""Answers in, numbers out: one family of metrics a file, plain functions on numpy, no models and no files read."""
