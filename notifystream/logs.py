"""Logs of every process: one line per event on stderr, for people or as JSON.

Guarantees: whatever is logged, by this project or by a library, passes the mask: no phone number in E.164 and
no named secret is written, tracebacks included. Leaves to the deployment: where stderr goes.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

from notifystream.masking import mask_text, mask_value

FORMATS = ("console", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# Their INFO lines describe themselves, not the pipeline.
_QUIET = ("aiokafka", "faust", "mode", "httpx2", "httpcore2", "twilio", "uvicorn.error", "asyncio")


def configure(log_format: str, log_level: str) -> None:
    """Route structlog and the standard library's logging to stderr in `log_format` from `log_level` on.

    Raises ValueError, naming the setting, for a format or level that is none.
    """
    if log_format not in FORMATS:
        raise ValueError(f"LOG_FORMAT is {log_format!r}; it must be one of {', '.join(FORMATS)}")
    if log_level.upper() not in LEVELS:
        raise ValueError(f"LOG_LEVEL is {log_level!r}; it must be one of {', '.join(LEVELS)}")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = log_format == "json"
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([structlog.processors.format_exc_info] if as_json else []),
            masked_event,
            render,
            # A traceback is text only now.
            masked_line,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def masked_event(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every value masked; an exception is left for the renderer."""
    return {
        name: value if name == "exc_info" else mask_value({name: value})[name]
        for name, value in event.items()
    }


def masked_line(logger: object, method: str, line: Any) -> Any:
    """A structlog processor behind the renderer: the whole line masked."""
    return mask_text(line) if isinstance(line, str) else line
