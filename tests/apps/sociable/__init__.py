"""A project whose boards name their viewers, who may broadcast."""
