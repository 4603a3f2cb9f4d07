"""The HTTP addresses that Django serves under ``/realtime/``."""

import pytest
from django.urls import resolve, reverse

from realtime import views


@pytest.mark.parametrize(
    "name, path, view",
    [
        ("metrics", "/realtime/metrics/", views.metrics),
        ("inspector", "/realtime/inspector/", views.inspector),
    ],
)
def test_a_name_and_an_address_belong_together(name, path, view):
    """Templates use the names; monitoring and people use the addresses."""
    assert reverse(f"realtime:{name}") == path
    assert resolve(path).func is view
