"""Secret links and the browsers in which they were opened."""

from realtime.boards.sharing.models import BoardLink, Guest


def test_a_revoked_link_leaves_its_guests_without_it(board, staff_board, editor):
    """Other links that a browser has opened stay."""
    link, _ = BoardLink.make(board, "lobby", editor)
    other, _ = BoardLink.make(staff_board, "lobby", editor)
    guest = Guest.objects.create()
    guest.links.add(link, other)

    link.delete()

    assert list(guest.links.all()) == [other]
    assert str(guest) == f"guest {guest.pk}"
