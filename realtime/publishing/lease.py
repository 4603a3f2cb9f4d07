"""The lease: which process sequences at every tick and runs the jobs.

Economy, not safety: sequencing is safe in any number of processes. The clock is the database's.
"""

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from ..conf import get_conf
from ..models import Sequencer


def hold(holder: str) -> bool:
    """Take or renew the lease; return whether it is this holder's now."""
    conf = get_conf()
    free = Q(holder=holder) | Q(expires_at=None) | Q(expires_at__lt=Now())
    rows = Sequencer.objects.using(conf.database).filter(free, pk=Sequencer.ROW)
    return bool(rows.update(holder=holder, expires_at=Now() + timedelta(seconds=conf.lease_seconds)))


def release(holder: str) -> None:
    """Give the lease up, so that the next process need not wait for its end."""
    rows = Sequencer.objects.using(get_conf().database).filter(pk=Sequencer.ROW, holder=holder)
    rows.update(holder="", expires_at=None)
