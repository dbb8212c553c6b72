"""Who may look: a link that works once is exchanged for a cookie."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable

__all__ = ["Keys"]

_BYTES = 32
_MOST_SESSIONS = 64


class Keys:
    """The current one-time token, and the sessions that were opened with earlier ones.

    Args:
        on_used: called with the next token when one was used, so that another window can be opened.
    """

    def __init__(self, on_used: Callable[[str], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(_BYTES)
        self._sessions: list[str] = []
        self.on_used = on_used

    @property
    def token(self) -> str:
        """The token that opens the next session."""
        return self._token

    def exchange(self, token: str) -> str | None:
        """Return a new session for the current token, which is worth nothing from then on; None for any other."""
        with self._lock:
            if not _equal(token, self._token):
                return None
            session = secrets.token_urlsafe(_BYTES)
            # The oldest windows are forgotten first; nobody has so many open.
            self._sessions = [*self._sessions, session][-_MOST_SESSIONS:]
            self._token = secrets.token_urlsafe(_BYTES)
        if self.on_used is not None:
            self.on_used(self._token)
        return session

    def knows(self, session: str) -> bool:
        """Return whether this is the cookie of a session that was opened here."""
        return any(_equal(session, known) for known in self._sessions)


def _equal(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())
