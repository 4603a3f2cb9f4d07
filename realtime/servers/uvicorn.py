"""Optional: guarded protocol classes for uvicorn's command line.

    uvicorn config.asgi:application --http realtime.servers.uvicorn:GuardedHttp \
      --ws realtime.servers.uvicorn:GuardedWebSocket --ws-max-size 65536

If this uvicorn does not fit the guards, both are uvicorn's own classes.
"""

import uvicorn  # noqa: F401  (what is not loaded does not fit)

from .private_objects import Feature, fits

__all__ = ["GuardedHttp", "GuardedWebSocket"]

if fits(Feature.UVICORN_GUARDS):
    from .uvicorn_guards import GuardedHttp, GuardedWebSocket
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as GuardedHttp
    from uvicorn.protocols.websockets.auto import (  # type: ignore[assignment]
        AutoWebSocketsProtocol as GuardedWebSocket,
    )
