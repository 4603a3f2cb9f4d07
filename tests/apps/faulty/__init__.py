"""A small app whose feeds fail, are slow, or read tables that are replaced: what healthy feeds must not notice."""
