"""The page's side of the protocol, in a real Chromium, with a scripted server and a clock that tests move."""

SUBSCRIBE = {"type": "subscribe", "topic": "t", "format": "html"}
