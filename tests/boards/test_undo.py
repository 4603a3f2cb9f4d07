"""Steps carry every kind of value of an entry there and back."""

import pytest
from django.core import signing

from realtime.boards.models import Entry
from realtime.boards.undo import Step, assign, columns, revert, sign, signed, values_of


def test_values_return_as_they_were(entry):
    """Numbers, switches and keys too, as text."""
    Entry.objects.filter(pk=entry.pk).update(position=-7, is_visible=False, note="ä\n\t")
    stored = Entry.objects.get(pk=entry.pk)
    fresh = Entry()

    assign(fresh, values_of(stored))

    assert all(getattr(fresh, field.attname) == getattr(stored, field.attname) for field in columns())


def test_steps_return_as_they_were_signed(entry):
    """A text that another part of the project has signed is none."""
    steps = [Step(entry.pk, values_of(entry), None), Step(entry.pk, {"note": "a"}, {"note": "b"})]

    assert signed(sign(steps)) == steps
    with pytest.raises(signing.BadSignature):
        signed(signing.dumps([]))


def test_steps_are_undone_from_the_last_to_the_first(entry):
    """Two changes of one value, then its deletion."""
    whole = values_of(entry)
    steps = [
        Step(entry.pk, {"value": "06:40"}, {"value": "b"}),
        Step(entry.pk, {"value": "b"}, {"value": "c"}),
        Step(entry.pk, whole | {"value": "c"}, None),
    ]
    pk = entry.pk
    entry.delete()

    reverted = revert(steps)

    assert reverted.left == []
    assert values_of(Entry.objects.get(pk=pk)) == whole
    revert(reverted.done)
    assert not Entry.objects.filter(pk=pk).exists()
