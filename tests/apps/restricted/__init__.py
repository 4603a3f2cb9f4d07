"""A feed whose readers need a permission, for tests of rights that are taken away."""
