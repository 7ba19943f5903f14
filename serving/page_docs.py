"""An OpenAPI document as what the API page shows: FastAPI's own page would load its script from another host."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")


def routes_of(openapi: Json) -> list[dict[str, Any]]:
    """{"method", "path", "summary", "about", "parameters": [{"name", "in", "type", "required", "about"}], "bodies":
    [{"media", "type", "fields"}], "answers": [{"status", "about", "bodies"}]} each, in the document's order."""
    return [
        {
            "method": method.upper(),
            "path": path,
            "summary": route.get("summary", ""),
            "about": route.get("description", ""),
            "parameters": [_parameter(given) for given in route.get("parameters", [])],
            "bodies": _bodies(route.get("requestBody", {})),
            "answers": [
                {"status": status, "about": answer.get("description", ""), "bodies": _bodies(answer)}
                for status, answer in route.get("responses", {}).items()
            ],
        }
        for path, methods in openapi.get("paths", {}).items()
        for method, route in methods.items()
        if method in METHODS
    ]


def schemas_of(openapi: Json) -> list[dict[str, Any]]:
    """{"name", "about", "type", "fields": [{"name", "type", "required", "about"}]} each, by name."""
    schemas = openapi.get("components", {}).get("schemas", {})
    return [
        {
            "name": name,
            "about": schema.get("description", ""),
            "type": "" if "properties" in schema else type_of(schema)[0],
            "fields": fields_of(schema),
        }
        for name, schema in sorted(schemas.items())
    ]


def fields_of(schema: Json) -> list[dict[str, Any]]:
    """{"name", "type", "required", "about"} of each property of an object."""
    return [
        {
            "name": field,
            "type": type_of(given),
            "required": field in schema.get("required", []),
            "about": given.get("description", ""),
        }
        for field, given in schema.get("properties", {}).items()
    ]


def type_of(schema: Json) -> tuple[str, str]:
    """A schema in a few words, and the name of the schema it refers to ("": none)."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return name, name
    if ways := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        found = [type_of(way) for way in ways]
        return " | ".join(text for text, _ in found), next((name for _, name in found if name), "")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"])), ""
    if "const" in schema:
        return str(schema["const"]), ""
    kind = schema.get("type", "any")
    if kind == "array":
        text, name = type_of(schema.get("items", {}))
        return f"list of {text}", name
    if isinstance(kind, list):
        return " | ".join(kind), ""
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(schema["properties"]) + "}", ""
    bounds = [f"{sign} {schema[key]:g}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    return " ".join([str(schema.get("format", kind)), *bounds]), ""


def _parameter(given: Json) -> dict[str, Any]:
    schema = given.get("schema", {})
    return {
        "name": given["name"],
        "in": given.get("in", ""),
        "type": type_of(schema),
        "required": given.get("required", False),
        "about": given.get("description") or schema.get("description", ""),
    }


def _bodies(holder: Json) -> list[dict[str, Any]]:
    return [
        {
            "media": media,
            "type": type_of(content.get("schema", {})),
            "fields": fields_of(content.get("schema", {})),
        }
        for media, content in holder.get("content", {}).items()
    ]
