"""A small app whose feeds fail, are slow, or read tables that are replaced: healthy feeds must not be affected."""
