"""Instructions reach every process through the database, for a minute."""

import pytest

from realtime.models import Instruction, SecondsNow
from realtime.operators import instructions

Kind = Instruction.Kind


def kinds() -> list[str]:
    return [given.kind for given in instructions.valid()]


@pytest.mark.django_db(transaction=True)
def test_an_instruction_is_read_as_it_was_given():
    """Oldest first, with its age."""
    instructions.give(Kind.CLOSE, "a:1:ff", "c7")
    instructions.give(Kind.READ, target="entries.1")

    first, second = instructions.valid()

    assert first[1:4] == ("close", "a:1:ff", "c7")
    assert second[1:4] == ("read", "", "entries.1")
    assert 0 <= second.age_seconds <= first.age_seconds < 60


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", list(Kind))
def test_no_instruction_is_valid_for_longer_than_a_minute(kind):
    """A process that starts or recovers later must not close connections that were not meant; the table stays small."""
    instructions.give(kind)
    Instruction.objects.update(given_at=SecondsNow() - instructions.VALID_SECONDS - 1)

    assert kinds() == []
    instructions.give(Kind.READ, target="boards")
    assert Instruction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", list(Kind))
def test_no_instruction_is_valid_from_before_the_clock_was_set_back(kind):
    """It would be for as long as the clock was ahead; an operator who looks then is noted again."""
    instructions.give(kind)
    Instruction.objects.update(given_at=SecondsNow() + 24 * 3600)

    assert kinds() == []
    instructions.watch()
    assert kinds() == ["watch"]
    assert Instruction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_operator_who_keeps_looking_causes_few_writes():
    """A page that is fetched every second causes one write in ten seconds."""
    for _ in range(5):
        instructions.watch()
    assert kinds() == ["watch"]

    Instruction.objects.update(given_at=SecondsNow() - instructions.RENEW_SECONDS - 1)
    instructions.watch()

    assert kinds() == ["watch", "watch"]
