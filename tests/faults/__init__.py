"""The fault suite: server processes, continuous writers, viewers that check every message, and faults."""
