"""The fault suite: real processes, writers that never rest, viewers that check every message, and faults."""
