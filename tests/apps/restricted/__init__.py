"""A feed whose subscribers need a permission, for tests in which rights are withdrawn."""
