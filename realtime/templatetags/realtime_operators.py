"""How the page of operators writes durations."""

from django import template

from ..operators.charts import seconds

register = template.Library()
register.filter("humane", seconds)
