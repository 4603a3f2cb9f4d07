"""Markup: a row is one element, whatever is in it."""

import pytest

from realtime.rows import markup
from realtime.rows.markup import BadMarkup, check_one_element, fault_of, with_attributes


@pytest.mark.parametrize(
    "html",
    [
        "<li></li>",
        "<li>text<b>and</b> more</li>",
        "<LI>text</li>",
        "<!-- a row --> <li><!-- in it --></li> <!-- after it -->",
        "<img src='a.png'>",
        "<br/>",
        "<tr><td>one<td>two</tr>",
        "<ul><li>one<li>two</ul>",
        "<p>text<br>more <a href='#'>here</a></p>",
        "<div><p>one<p>two</div>",
        "<svg><path d='M0'/><g><path/></g></svg>",
        "<my-row><slot></slot></my-row>",
        "<li title='&lt;/li&gt;'>&lt;li&gt;</li>",
        "<li><script type='application/json'>\"</p><li>\"</script></li>",
    ],
)
def test_one_element_is_a_row(html):
    assert fault_of(html) is None
    check_one_element("row.html", html)


@pytest.mark.parametrize(
    "html, words",
    [
        ("", "no element: ''"),
        ("text", "the text 'text' outside of an element"),
        ("<!-- nothing -->", "no element"),
        ("text <li></li>", "the text 'text'"),
        ("<li></li> text", "the text 'text'"),
        ("&nbsp;<li></li>", "the text"),
        ("<li></li><li></li>", "2 elements: <li>, <li>"),
        ("<dt>a</dt>\n<dd>b</dd>", "2 elements: <dt>, <dd>"),
        ("<tr><td>a</td></tr><tr class='more'><td>b</td></tr>", "2 elements: <tr>, <tr>"),
        ("<hr><li></li>", "2 elements: <hr>, <li>"),
        ("<li>", "<li> without its end"),
        ("<div><div></div>", "<div> without its end"),
        ("<div/>", "<div> without its end"),
        ("<p>text <ul><li>item</li></ul></p>", "2 elements: <p>, <ul>"),
        ("<template><li></li></template><li></li>", "2 elements"),
    ],
)
def test_anything_else_is_refused_with_words(html, words):
    """Also the second time, when it is not parsed again."""
    for _ in range(2):
        with pytest.raises(BadMarkup) as refused:
            check_one_element("row.html", html)

        assert str(refused.value).startswith("row.html must render one element, but it rendered ")
        assert words in str(refused.value)


def test_rows_with_the_same_tags_are_parsed_once(monkeypatch):
    """Their texts differ."""
    markup._known.clear()
    parsed = []
    monkeypatch.setattr(markup, "fault_of", lambda html: parsed.append(html))

    for number in range(10):
        check_one_element("row.html", f"<li title='{number}'><b>number</b> {number}</li>")
    check_one_element("row.html", "<li><i>other</i></li>")

    assert len(parsed) == 2


def test_what_is_known_is_bounded(monkeypatch):
    monkeypatch.setattr(markup, "MAX_KNOWN", 3)
    for number in range(10):
        check_one_element("row.html", "<li>" + "<b></b>" * number + "</li>")

    assert len(markup._known) <= 3


def test_attributes_are_added_to_the_root_element():
    """Behind comments; values are escaped."""
    html = with_attributes("<!-- a <b> --> <li class='x'><b></b></li>", data_key='"<', data_order="1")

    assert html == '<!-- a <b> --> <li data-key="&quot;&lt;" data-order="1" class=\'x\'><b></b></li>'
