"""What the ingress promises to take: not imported from it, so that a change shows here."""

from __future__ import annotations

LARGEST_FORM = 64 * 1024
LARGEST_BATCH = 1024 * 1024
LARGEST_EVENT = 900 * 1024
MOST_EVENTS = 1000
MOST_PARAMETERS = 500
MOST_HEADERS = 100
LONGEST_URL = 8 * 1024
LONGEST_HEAD = 16 * 1024
