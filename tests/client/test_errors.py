"""Refusals: which codes are final, and what the error says to do."""

import pytest

from realtime.client import Refused
from realtime.client.errors import is_final
from realtime.engine.codes import Advice, Code


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.name)
def test_a_code_is_final_if_its_advice_is_not_to_reconnect(code):
    """The table of codes is the server's; the client follows it."""
    assert is_final(code) is (code.advice in (Advice.STOP, Advice.CHECK_PAGE))


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012, 3000, 4399, 4500, 4999])
def test_every_other_code_means_try_again(code):
    """Also a code of a newer server or of a proxy."""
    assert not is_final(code)


@pytest.mark.parametrize(
    "code, words",
    [
        (4400, "install the version"),
        (4401, "sign in again"),
        (4403, "can_subscribe"),
        (4404, "check the name"),
        (4477, "install the version"),
        (401, "sign in again"),
        (403, "without an Origin"),
        (404, "check the name"),
        (426, "install the version"),
    ],
)
def test_a_refusal_says_what_to_do(code, words):
    """For close codes, for errors of topics, and for the status of a handshake."""
    assert words in str(Refused(code, "why", "products.7"))
    assert f"'products.7' is refused ({code}, why)" in str(Refused(code, "why", "products.7"))
