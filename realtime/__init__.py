"""Live pages for Django: the database's rows, current in every open page. The distribution is ``django-tidemark``."""

__version__ = "0.1.0"
