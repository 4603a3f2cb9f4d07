"""Organisations and their logos."""

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from realtime.boards.models import Logo, Organisation
from realtime.boards.organisations import MAX_LOGO_KB, content_type_of, remove_unused
from realtime.feeds import registry

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def organisation(board):
    board.organisation = Organisation.objects.create(name="Harbour <office>", logo=Logo.keep(SVG))
    board.save()
    return board.organisation


def test_name_and_logo_are_in_the_heading(client, board, organisation):
    [row] = registry["board"].read_topic(board.pk)

    assert "Harbour &lt;office&gt;" in str(row.html)
    assert reverse("boards:logo", args=[organisation.logo_id]) in str(row.html)


def test_a_heading_is_one_query(board, organisation, django_assert_num_queries):
    """The picture is not read with it."""
    with django_assert_num_queries(1):
        registry["board"].read_topic(board.pk)


def test_a_logo_is_kept_by_browsers_and_runs_nothing(client, organisation):
    """Opened by itself an SVG is a document."""
    response = client.get(reverse("boards:logo", args=[organisation.logo_id]))

    assert response.content == SVG
    assert response["Content-Type"] == "image/svg+xml"
    assert "immutable" in response["Cache-Control"]
    policy = response["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert client.get(reverse("boards:logo", args=["0" * 64])).status_code == 404


@pytest.mark.parametrize(
    "content, kind",
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF89a", "gif"),
        (b"RIFF1234WEBPVP8 ", "webp"),
        (SVG, "svg+xml"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_type_is_that_of_the_content(content, kind):
    assert content_type_of(content) == f"image/{kind}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ",
        b"<html></html>",
        b"<svg",
        b"RIFF1234WAVE",
        b'<!DOCTYPE svg [<!ENTITY a "aa">]><svg>&a;</svg>',
        PNG + bytes(MAX_LOGO_KB * 1024),
    ],
    ids=["empty", "program", "page", "broken", "sound", "entities", "large"],
)
def test_what_is_no_picture_is_refused(db, content):
    with pytest.raises(ValidationError):
        Logo.keep(content)
    assert not Logo.objects.exists()


def test_pictures_that_no_organisation_has_are_removed(organisation):
    Logo.keep(PNG)

    remove_unused()

    assert [logo.digest for logo in Logo.objects.all()] == [organisation.logo_id]
    assert Logo.keep(SVG) == organisation.logo
