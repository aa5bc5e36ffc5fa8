"""What can go wrong between Kafka and ClickHouse, by what is to be done about it."""


class AnalyticsError(Exception):
    """Root of this package's errors; the message says what was wrong, where, and what to do."""


class ClickHouseAway(AnalyticsError):
    """ClickHouse could not be asked, or cannot insert now. Says nothing about the rows: try again."""


class RowsRefused(AnalyticsError):
    """ClickHouse will never take this block as it is: at least one of its rows is poison."""


class RowError(AnalyticsError):
    """A record that was read but holds a value no table can keep; a dead letter. `reason` is a code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class IntentUnwritten(AnalyticsError):
    """The broker did not take down which records go in next: nothing of them may go in yet."""


class DeadLetterUndelivered(AnalyticsError):
    """The broker did not acknowledge a dead letter: the batch must not be committed yet."""


class MigrationError(AnalyticsError):
    """The database is not what the numbered migrations say it is."""


class SchemaNewer(MigrationError):
    """A newer release has been at this database: this one must leave it alone."""


class UnknownReport(AnalyticsError):
    """There is no report of this name."""


class UnknownNotification(AnalyticsError):
    """Nothing of this notification has landed."""
