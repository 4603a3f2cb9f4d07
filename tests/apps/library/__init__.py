"""Models with every kind of relation, for tests of feeds that depend on other tables."""
