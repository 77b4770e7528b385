"""Training: one thin door over `transformers.Trainer`."""
