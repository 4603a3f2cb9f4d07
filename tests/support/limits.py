"""The limits of a connection under the default settings."""

import dataclasses
from typing import Any

from realtime.conf import Conf
from realtime.engine.session import Limits


def default_limits(**changes: Any) -> Limits:
    """Return the default limits with some of them replaced."""
    conf = dataclasses.asdict(Conf())
    settings = {field.name for field in dataclasses.fields(Limits)} & conf.keys()
    return Limits(**{name: conf[name] for name in settings} | changes)
