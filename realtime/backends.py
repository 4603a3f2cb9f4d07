"""An authentication backend that only refuses: it ends a sign-in after too many wrong passwords."""

from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from .access import password_attempts
from .access.password_attempts import TooManyPasswords

__all__ = ["PasswordAttemptsBackend"]


class PasswordAttemptsBackend:
    """The first of ``AUTHENTICATION_BACKENDS``: ends a sign-in for which too many wrong passwords were tried.

    No base class: it has neither users nor permissions, so ``login`` and ``force_login`` pass it over.
    ``PasswordAttemptsMiddleware`` tells the person how long to wait.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        """Raises: PermissionDenied, after which Django asks no other backend."""
        name = password_attempts.name_in(credentials)
        password_attempts.was_refused.set(False)
        if name is None:
            return
        try:
            password_attempts.attempts.check(name, password_attempts.address_of(request))
        except TooManyPasswords as error:
            password_attempts.was_refused.set(True)
            if request is not None:
                request.too_many_passwords = error  # type: ignore[attr-defined]
            raise PermissionDenied(str(error)) from error

    async def aauthenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        """As ``authenticate``."""
        await sync_to_async(self.authenticate)(request, **credentials)
