"""The distribution: what is built and installed of this repository, and what a project does with it."""
