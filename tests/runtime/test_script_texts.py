"""The translations of scripts, as pages and the service worker of walls get them."""

import pytest

from realtime.runtime.script_texts import script_texts


@pytest.mark.parametrize("language", ["de", "de-at", "de-ch"])
def test_a_variant_of_a_language_has_its_texts(language):
    assert script_texts("realtime", language)["offline"] == "offline"
    assert script_texts("realtime", language)["as of"] == "Stand"


@pytest.mark.parametrize("language", ["en-gb", "en", "fr", "", "no-such-language"])
def test_without_translations_scripts_keep_their_english(language):
    assert script_texts("realtime", language) == {}
