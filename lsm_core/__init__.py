"""Landslide susceptibility mapping: from terrain, geology and an inventory to maps and numbers."""

__version__ = "0.1.0"
