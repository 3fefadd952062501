"""Bundles, their registry, and the predictor that answers with them. Trains nothing."""
