"""The lease: which process sequences at every tick and runs the jobs.

An optimisation, not needed for correctness: any number of processes may sequence. Times are the database's.
"""

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from ..conf import get_conf
from ..models import Sequencer

LONGEST_SECONDS = 3600
"""A lease that lasts longer than this, and than twice this process's own, is free: the clock was set back since."""


def acquire(holder: str) -> bool:
    """Acquire or renew the lease; return whether this holder has it now."""
    seconds = get_conf().lease_seconds
    longest = timedelta(seconds=max(LONGEST_SECONDS, 2 * seconds))
    ended = Q(expires_at=None) | Q(expires_at__lt=Now()) | Q(expires_at__gt=Now() + longest)
    free = Q(holder=holder) | ended
    expires_at = Now() + timedelta(seconds=seconds)
    row = Sequencer.objects.filter(free, pk=Sequencer.ROW)
    return bool(row.update(holder=holder, expires_at=expires_at))


def release(holder: str) -> None:
    """Release the lease, so that the next process need not wait until it expires."""
    Sequencer.objects.filter(pk=Sequencer.ROW, holder=holder).update(holder="", expires_at=None)


def signs_of_life() -> tuple[str, object]:
    """Return the latest holder, "" for none, and a value that changes while it sequences and renews its lease."""
    row = Sequencer.objects.filter(pk=Sequencer.ROW)
    holder, *signs = row.values_list("holder", "sequenced_at", "expires_at").first() or ("", None, None)
    return holder, signs


def holder() -> str | None:
    """Return the process that has the lease, None when there is none."""
    row = Sequencer.objects.filter(pk=Sequencer.ROW, expires_at__gt=Now())
    return row.values_list("holder", flat=True).first()
