"""How much one request may ask for."""

MAX_BODY = 1600  # characters; Twilio refuses more with 21617 (facts, Twilio section 4)
MAX_MEDIA = 10  # 21623
MAX_STEPS = 10
MAX_WAIT_MS = 366 * 86_400_000  # as in a tenant's chain
MAX_REQUEST = 32_768  # bytes as JSON: request, row and outcome carry it on, and a broker takes 1 MB at most
MAX_RENDERED = 4 * MAX_REQUEST  # bytes as JSON with all steps filled in: each repeats what they share
MAX_NAME = 255  # characters of tenant and of idempotency key
