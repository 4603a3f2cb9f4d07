"""An editor in the admin of a running server: changes are written by that server's own process."""

import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from tests.support.servers import PASSWORD


class Editor:
    """Signs in when constructed; ``save`` submits the change form of entry 1."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookies = CookieJar()
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        self._post("/admin/login/", username="editor", password=PASSWORD, next="/admin/")

    def save(self, label: str) -> None:
        self._post(
            "/admin/boards/entry/1/change/",
            board="1", position="10", label=label, value="", unit="", status="ok", note="",
            is_visible="on",
        )  # fmt: skip

    @property
    def session(self) -> str:
        return next(cookie.value or "" for cookie in self._cookies if cookie.name == "sessionid")

    def is_signed_in(self) -> bool:
        """Return whether the admin still accepts the session."""
        return "/login/" not in self._browser.open(f"{self._url}/admin/").url

    def _post(self, path: str, **fields: str) -> None:
        page = self._browser.open(self._url + path).read().decode()
        token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        request = urllib.request.Request(self._url + path, body, {"Referer": self._url + path})
        answer = self._browser.open(request)
        if answer.url == self._url + path:
            raise RuntimeError(f"the admin rejected the form at {path}")
