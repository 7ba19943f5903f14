"""What goes wrong, told as problem details (RFC 9457)."""

from typing import Any

PROBLEMS: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not JSON"),
    "invalid_request": (422, "The request is not what this route takes"),
    "body_too_large": (413, "The body is too large"),
    "too_many_lots": (422, "Too many lots in one call"),
    "too_many_rows": (422, "Too many rows in one call"),
    "future_as_of": (422, "as_of lies in the future"),
    "invalid_record": (422, "The record is not what the contract says"),
    "invalid_lot": (422, "The lot is neither an id nor a record"),
    "duplicate_lot": (422, "The lot stands in the list already"),
    "unknown_lot": (404, "The lot is not known"),
    "not_produced": (422, "The lot is not produced by as_of"),
    "conflicts_with_history": (409, "The histories say something else of this lot"),
    "cursor_expired": (410, "The list has been made anew since; start again without a cursor"),
    "unknown_version": (404, "The model version is not known"),
    "bundle_refused": (409, "The model bundle is not what its card says"),
    "registry_fault": (502, "The model registry does not do it"),
    "idempotency_conflict": (409, "The Idempotency-Key came with another body before"),
    "not_recorded": (503, "It cannot be recorded now, so it is not done"),
    "unknown_supplier_lot": (404, "The supplier lot is not known"),
    "unknown_return": (404, "The return is not known"),
    "unknown_containment": (404, "The containment is not known"),
    "containment_closed": (409, "The containment is closed already"),
    "unknown_decision": (404, "The decision is not known"),
    "not_decided": (409, "That does not carry out what was decided, or is less careful"),
    "not_authorised": (403, "The site does not grant this role that authority"),
    "no_key": (401, "A key is needed"),
    "key_refused": (401, "The key is not one of this service"),
    "key_expired": (401, "The key has expired"),
    "key_revoked": (401, "The key was revoked"),
    "not_allowed": (403, "The role of the key may not do this"),
    "too_many_requests": (429, "The key makes too many calls"),
    "loopback_only": (403, "Only the machine itself may do this"),
    "not_ready": (503, "The service is not ready"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This route does not take this method"),
    "internal_error": (500, "Something went wrong here; the log says what"),
}
"""By code: the HTTP status and what it means."""

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is a problem."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail

    @property
    def status(self) -> int:
        return PROBLEMS[self.code][0]


def not_read(fault: str = "") -> Problem:
    """There are no histories yet; `fault`: why, where that is known."""
    return Problem("not_ready", fault or "the histories have not been read yet; try again in a moment")


def problem(code: str, detail: str) -> dict[str, Any]:
    """The problem's details."""
    status, title = PROBLEMS[code]
    return {
        "type": f"urn:lot-risk:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
