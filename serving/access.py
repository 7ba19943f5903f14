"""Who calls: a key's owner, or whoever sits at this machine while there are no keys."""

from dataclasses import dataclass

from fastapi import Request

ROLES = ("line", "planner", "engineer", "quality", "admin")
CALLER = "lotrisk.caller"


@dataclass(frozen=True)
class Caller:
    """A key's id, name and role."""

    id: str
    name: str
    role: str

    @property
    def actor(self) -> str:
        """What the audit log calls the caller."""
        return f"key:{self.id} {self.name}" if self.id else self.name


LOCAL = Caller("", "local", "admin")
"""Every caller on loopback while there are no keys."""


def caller_of(request: Request) -> Caller:
    """Who calls."""
    found: Caller = request.scope.get(CALLER, LOCAL)
    return found
