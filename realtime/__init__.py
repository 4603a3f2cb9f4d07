"""Live pages for Django: what the database says, in every open page. The distribution is ``django-tidemark``."""

__version__ = "0.1.0"
