"""A small app whose table is altered by its migrations, for the tests of capture."""
