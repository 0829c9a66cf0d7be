"""Detectors and segmenters over any backbone that gives features, with attention in backbone and neck."""
