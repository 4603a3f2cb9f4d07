"""The package loads its names when they are used."""

import subprocess
import sys

import pytest

from realtime import testing


@pytest.mark.parametrize("name", testing.__all__)
def test_each_name_is_loaded_when_it_is_used(name):
    """From the module that defines it."""
    found = getattr(testing, name)

    assert found.__module__.startswith("realtime.testing.")


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'LifeClient'"):
        _ = testing.LifeClient


def test_importing_it_needs_no_settings():
    """The plugin of pytest is imported first of all, and its package with it."""
    program = "import sys, realtime.testing; print([n for n in sys.modules if n.startswith('django')])"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout == "[]\n"
