"""The analytics sink: everything that happened, in ClickHouse, once, without a phone number or a body."""
