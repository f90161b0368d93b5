"""The API as one page of plain HTML, made from the OpenAPI document: no script, no style from elsewhere, no CDN."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

# Nothing may be loaded or run, whatever a browser thinks it has found in the page.
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:.8rem;overflow:auto}dt{font-weight:bold}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}pre{background:#222}a{color:#9cf}}"
)


def api_page(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as HTML: each route with its body and its answers, then the schemas."""
    return "".join(_page(document))


def _page(document: dict[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{title} {escape(document['info']['version'])}</h1>"
    yield '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>'
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            yield f"<h2>{escape(method.upper())} {escape(path)}</h2><p>{escape(route.get('description', ''))}</p><dl>"
            if "requestBody" in route:
                yield f"<dt>Body</dt><dd>{_schema_of(route['requestBody'])}</dd>"
            for status, answer in route["responses"].items():
                yield f"<dt>{escape(status)}</dt><dd>{escape(answer['description'])} {_schema_of(answer)}</dd>"
            yield "</dl>"
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2><pre>{text}</pre>'
    yield "</body></html>"


def _schema_of(part: dict[str, Any]) -> str:
    """Return a link to the schema of a body, or the schema itself where it has no name."""
    for content in part.get("content", {}).values():
        schema = content.get("schema", {})
        if "$ref" in schema:
            name = escape(schema["$ref"].rpartition("/")[2])
            return f'<a href="#{name}">{name}</a>'
        if schema:
            return f"<code>{escape(json.dumps(schema))}</code>"
    return ""
