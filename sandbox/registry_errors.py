"""What the registry refuses, with the HTTP statuses, error codes and messages of Confluent's Schema Registry.

Guarantees: one constructor per code, so that no number appears anywhere else. Source: Confluent's API
reference ("Schema Registry API Reference", errors per call) and the registry's `rest/exceptions/Errors.java`.
Leaves to `registry_routes` how an error becomes an answer.
"""

from collections.abc import Sequence


class RegistryError(Exception):
    """A call the registry refuses: HTTP `status`, the registry's own `code`, and a message for people."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def subject_not_found(subject: str) -> RegistryError:
    return RegistryError(404, 40401, f"Subject '{subject}' not found.")


def version_not_found(version: int) -> RegistryError:
    return RegistryError(404, 40402, f"Version {version} not found.")


def schema_not_found(wanted: int | str | None = None) -> RegistryError:
    return RegistryError(404, 40403, "Schema not found" if wanted is None else f"Schema {wanted} not found")


def subject_soft_deleted(subject: str) -> RegistryError:
    return RegistryError(
        404, 40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently"
    )


def subject_not_soft_deleted(subject: str) -> RegistryError:
    return RegistryError(
        404, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted"
    )


def version_soft_deleted(subject: str, version: int) -> RegistryError:
    return RegistryError(
        404,
        40406,
        f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently",
    )


def version_not_soft_deleted(subject: str, version: int) -> RegistryError:
    return RegistryError(
        404,
        40407,
        f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted",
    )


def no_subject_compatibility(subject: str) -> RegistryError:
    return RegistryError(
        404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured"
    )


def no_subject_mode(subject: str) -> RegistryError:
    return RegistryError(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible_schema(subject: str, messages: Sequence[str]) -> RegistryError:
    return RegistryError(
        409,
        409,
        f"Schema being registered is incompatible with an earlier schema for subject '{subject}', "
        f"details: [{', '.join(messages)}]",
    )


def invalid_body(reason: str) -> RegistryError:
    return RegistryError(422, 422, f"The request's body cannot be read: {reason}")


def invalid_schema(reason: str) -> RegistryError:
    return RegistryError(422, 42201, f"Invalid schema: {reason}")


def invalid_version(version: str) -> RegistryError:
    return RegistryError(
        422,
        42202,
        f"The specified version '{version}' is not a valid version id. Allowed values are between "
        '[1, 2^31-1] and the string "latest"',
    )


def invalid_compatibility(level: str) -> RegistryError:
    return RegistryError(
        422,
        42203,
        f"Invalid compatibility level '{level}'. Valid values are none, backward, forward, full, "
        "backward_transitive, forward_transitive, and full_transitive",
    )


def invalid_mode(mode: str) -> RegistryError:
    return RegistryError(422, 42204, f"Invalid mode '{mode}'. This registry knows READWRITE and READONLY")


def read_only(subject: str) -> RegistryError:
    return RegistryError(422, 42205, f"Subject {subject} is in read-only mode")


def reference_exists(subject: str, version: int) -> RegistryError:
    return RegistryError(
        422, 42206, f"One or more references exist to the schema of subject '{subject}', version {version}"
    )


def invalid_subject(subject: str) -> RegistryError:
    return RegistryError(422, 42208, f"The specified subject '{subject}' is not a valid subject.")


def not_supported(what: str) -> RegistryError:
    return RegistryError(
        422, 42201, f"{what} is not supported by the sandbox registry; use Confluent's for it"
    )
