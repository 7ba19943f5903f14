"""What all pages share: templates, language, static files, and headers that keep other hosts out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from serving import page_numbers, page_plots
from serving.access import CALLER
from serving.roles import may_open
from serving.words import NAMES, speaker

COOKIE = "lotrisk_language"
YEAR = 365 * 86_400
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
MEDIA = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Site(Protocol):
    """What a page says of its site."""

    @property
    def site_name(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def timezone(self) -> str: ...


@dataclass(frozen=True)
class Frame:
    """`files`: static files by name; `version`: of them all, so that browsers may keep them."""

    templates: Environment
    files: Mapping[str, bytes]
    version: str

    def language(self, request: Request, default: str) -> str:
        """By the address, else as chosen before, else the site's."""
        wishes = (request.query_params.get("lang"), request.cookies.get(COOKIE), default)
        return next((wish for wish in wishes if wish in NAMES), "en")

    def page(
        self, request: Request, site: Site, template: str, values: Mapping[str, Any], *, status: int = 200
    ) -> Response:
        """The rendered page. A language in the address is kept in a cookie; nothing is stored on the way."""
        language = self.language(request, site.language)
        response = Response(
            self.templates.get_template(template).render(
                {**values, **self._words(language, site), **self._links(request)}
            ),
            status_code=status,
            headers={**HEADERS, "Cache-Control": "no-store", "Content-Language": language, "Vary": "Cookie"},
            media_type="text/html; charset=utf-8",
        )
        if request.query_params.get("lang") in NAMES:
            response.set_cookie(COOKIE, language, max_age=YEAR, samesite="lax", httponly=True, path="/")
        return response

    def static_file(self, name: str) -> Response:
        """A file that every page of this version asks for by the same address."""
        if name not in self.files:
            return Response(status_code=404)
        headers = {**HEADERS, "Cache-Control": f"public, max-age={YEAR}, immutable"}
        return Response(self.files[name], headers=headers, media_type=MEDIA[Path(name).suffix])

    def _words(self, language: str, site: Site) -> dict[str, Any]:
        zone = site.timezone
        return {
            "t": speaker(language),
            "lang": language,
            "languages": NAMES,
            "site_name": site.site_name,
            "zone": zone,
            "most_drawn": page_plots.MOST_CHARACTERISTICS,
            "minute": lambda time: page_numbers.minute(time, zone),
            "day": lambda time: page_numbers.day(time, zone),
            "risk_over_time": lambda rows: Markup(page_plots.risk_over_time(rows, language=language, zone=zone)),  # noqa: S704
            "measurements_plot": lambda rows: Markup(page_plots.measurements(rows, language=language)),  # noqa: S704
            "reliability_plot": lambda rows: Markup(page_plots.reliability(rows, language=language)),  # noqa: S704
            "performance_plot": lambda rows: Markup(page_plots.performance(rows, language=language)),  # noqa: S704
        }

    def _links(self, request: Request) -> dict[str, Any]:
        root = str(request.scope.get("root_path", "")).rstrip("/")

        def link(path: str, *below: str) -> str:
            """Below the app's own root; `below` may hold anything."""
            return root + path + "/".join(quote(part, safe="") for part in below)

        def changed(**changes: str | None) -> str:
            """This page's address with other parameters; None leaves one out."""
            asked = {name: value for name, value in request.query_params.items() if value}
            kept = {name: value for name, value in (asked | changes).items() if value is not None}
            return "?" + urlencode(kept)

        caller = request.scope.get(CALLER)

        def may(path: str) -> bool:
            """Whether the caller may open a page; who has not said who they are is led to the log-in from all."""
            return caller is None or may_open(caller.role, path)

        name = caller.name if caller is not None and caller.id else ""
        return {
            "caller": name,
            "link": link,
            "may_open": may,
            "changed": changed,
            "path": request.url.path.removeprefix(root),
            "files": self.version,
        }


def read_frame() -> Frame:
    """Templates and static files, read once."""
    here = Path(__file__).parent
    files = {path.name: path.read_bytes() for path in sorted((here / "static").iterdir()) if path.suffix in MEDIA}
    templates = Environment(
        loader=FileSystemLoader(here / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        name: getattr(page_numbers, name) for name in ("percent", "money", "figure", "signed", "interval", "estimate")
    }
    version = hashlib.sha256(b"".join(files.values())).hexdigest()[:12]
    return Frame(templates, files, version)
