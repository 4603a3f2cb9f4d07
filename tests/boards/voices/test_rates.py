"""How often viewers may write."""

from realtime.boards.voices.rates import Rate


def allowed(rate, requests, board="board"):
    return sum(rate.seconds_until_next(request, board) <= 0 for request in requests)


def test_an_address_may_write_a_few_times_and_then_more_slowly(rf):
    rate = Rate(per_second=1 / 1000, at_once=3, in_total=10)

    assert allowed(rate, [rf.post("/", REMOTE_ADDR="192.0.2.1")] * 9) == 3
    assert allowed(rate, [rf.post("/", REMOTE_ADDR="192.0.2.2")]) == 1


def test_all_addresses_together_are_bounded(rf):
    """For each board: a flood of one does not close the others."""
    rate = Rate(per_second=1 / 1000, at_once=3, in_total=4)
    many = [rf.post("/", REMOTE_ADDR=f"192.0.2.{number}") for number in range(40)]

    assert allowed(rate, many) == 12
    assert allowed(rate, [rf.post("/", REMOTE_ADDR="198.51.100.1")], "another board") == 1
