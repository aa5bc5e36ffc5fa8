"""What the simulated API refuses, with Twilio's codes, HTTP statuses and bodies (facts, 5 and 11)."""

from typing import Final


class CarrierError(Exception):
    """Root of what this package raises."""


class SettingError(CarrierError):
    """An option or environment variable that cannot be used; the message says which and what to set."""


class SimulatorError(CarrierError):
    """The simulator's own endpoints answered with an error, or not at all."""


_STATUS: Final = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503, 20009: 409}

_TEXT: Final = {
    20001: "Invalid parameter {0}",
    20003: "Authenticate",
    20009: "Cannot delete or redact {0} because its delivery has not been completed",
    20404: "The requested resource {0} was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service is unavailable. Please try again",
    21211: "Invalid 'To' Phone Number: {0}",
    21212: "Invalid From Number (caller ID): {0}",
    21265: "'To' number cannot be a Short Code: {0}",
    21266: "'To' and 'From' number cannot be the same: {0}",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {0}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number {0} is not a valid, SMS-capable Twilio number for this destination",
    21609: "Invalid 'StatusCallback' URL: {0}",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number {0} has exceeded the maximum number of queued messages",
    21612: "Message cannot be sent with the current combination of 'To' ({0}) and/or 'From' parameters",
    21614: "To number: {0}, is not a mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21620: "Invalid media URL(s): {0}",
    21623: "Number of media files exceeds allowed limit of 10",
    21635: "To number: {0}, cannot be a landline",
    21655: "The ContentSid {0} is invalid",
    21656: "The ContentVariables parameter is invalid: {0}",
    21701: "The Messaging Service {0} does not exist",
    21910: "Invalid From and To pair. From and To should be of the same channel",
    30409: "This message cannot be canceled",
    35111: "SendAt is required to schedule a message",
    35114: "Scheduling does not support this timestamp: {0}",
    35118: "MessagingServiceSid is required to schedule a message",
    # These arrive in callbacks and in the resource's error_message.
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity Period Expired",
    30450: "Message delivery blocked",
    30500: "Internal Failure",
    63003: "Channel could not find To address",
    63024: "Invalid message recipient",
    63032: "We cannot send this message to this user because of a WhatsApp limitation",
}


def text_of(code: int, *arguments: str) -> str:
    """The message that goes with a code. Raises KeyError for a code the simulator never gives."""
    return _TEXT[code].format(*arguments)


class ApiError(CarrierError):
    """A request the API answers with an error: Twilio's code, the HTTP status, the text."""

    def __init__(self, code: int, *arguments: str) -> None:
        self.code = code
        self.http_status = _STATUS.get(code, 400)
        self.text = text_of(code, *arguments)
        super().__init__(f"{self.http_status}/{code}: {self.text}")
