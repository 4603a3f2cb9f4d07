"""The model is live, unless the environment says that it is no longer live."""

import os

from realtime.feeds import Feed, register

from .models import Berth

if os.environ.get("BERTHS_ARE_LIVE", "yes") == "yes":

    @register(Berth)
    class BerthFeed(Feed):
        topic_field = "dock"
        fields = ["name", "note"]
