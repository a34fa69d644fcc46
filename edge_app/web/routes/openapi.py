"""The API, told as an OpenAPI document; a test holds it against real answers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

_TEXT: dict[str, Any] = {"type": "string"}
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
_ADDRESS: dict[str, Any] = {"type": "string", "description": "of a PNG on this server"}
_ANSWER: dict[str, Any] = {
    "prediction": {"enum": ["Fracture Detected", "Normal"]},
    "confidence": {**_SHARE, "description": "of the stated prediction"},
    "probability": {**_SHARE, "description": "of a fracture"},
    "threshold": {**_SHARE, "description": "from which probability on a fracture is reported"},
    "uncertain": {"type": "boolean", "description": "Normal, but too near to a fracture to rule one out"},
}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_NUMBER: dict[str, Any] = {"type": "number"}
_WINDOW = _object({"centre": _NUMBER, "width": _NUMBER, "name": _TEXT})
_HEADER = _object(
    {
        **dict.fromkeys(("modality", "body_part", "view", "laterality"), _TEXT),
        "spacing_mm": _or_null(_list_of(_NUMBER)),
        "windows": _list_of(_WINDOW),
    }
)
_QUALITY = _object({"accepted": {"type": "boolean"}, "reasons": _list_of(_TEXT)})
_MODEL = _object(dict.fromkeys(("name", "version", "created", "precision"), _TEXT))
_VIEW: dict[str, Any] = {
    "id": _TEXT,
    **_ANSWER,
    "heatmap": _or_null(_ADDRESS),
    "heatmap_grey": _or_null(_ADDRESS),
    "picture": _ADDRESS,
    "quality": _or_null(_QUALITY),
    "size_px": {**_list_of({"type": "integer"}), "description": "height and width of what was sent"},
    "header": _or_null({**_HEADER, "description": "what a DICOM file says"}),
}
_ABOUT: dict[str, Any] = {"notice": _TEXT, "model": _MODEL, "device": {"enum": ["cpu", "cuda"]}}
_REFUSAL: dict[str, Any] = {
    "error": {"type": "string", "description": "a stable code; see docs/FORMATS.md"},
    "message": _TEXT,
    "tag": {"type": "string", "description": "the DICOM attribute at fault"},
}
_FILE: dict[str, Any] = {"file": {"type": "integer", "description": "its place among those sent, from 0"}}
_STUDY = _object({"views": _list_of({"type": "integer"}), **_ANSWER})
SCHEMAS: dict[str, Any] = {
    "View": _object({**_VIEW, **_ABOUT, "elapsed_ms": _NUMBER}),
    "Studies": _object(
        {
            "study": _or_null(_reference("Study")),
            "studies": _list_of(_reference("Study")),
            "views": _list_of({"anyOf": [_reference("FileView"), _reference("FileRefusal")]}),
            **_ABOUT,
        }
    ),
    "Study": _STUDY,
    "FileView": _object({**_FILE, **_VIEW}),
    "FileRefusal": _object({**_FILE, **_REFUSAL}, optional=("tag",)),
    "Refusal": _object(_REFUSAL, optional=("tag",)),
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document of the calls that programs may rely on."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fracture Edge",
            "version": "1",
            "description": "Assistive tool, not a diagnosis.",
        },
        "paths": {
            "/predict": {
                "post": _upload("Judge one X-ray.", "View", {"type": "string", "format": "binary"})
            },
            "/studies": {
                "post": _upload(
                    "Judge several X-rays, each and together.",
                    "Studies",
                    _list_of({"type": "string", "format": "binary"}),
                )
            },
            **{
                f"/results/{{id}}/{name}": {"get": _file(description, kind)}
                for name, description, kind in (
                    ("picture.png", "The X-ray as displayed.", "image/png"),
                    ("heatmap.png", "The heat map over the X-ray.", "image/png"),
                    ("heatmap-grey.png", "The heat map alone, as grey levels.", "image/png"),
                    (
                        "report.pdf",
                        "A report; several ids joined by commas make a study.",
                        "application/pdf",
                    ),
                )
            },
        },
        "components": {"schemas": SCHEMAS},
    }


def blueprint() -> Blueprint:
    """Make the route of the document."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/api")
    def tell() -> ResponseReturnValue:
        return jsonify(document())

    return routes


def _upload(summary: str, schema: str, file: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "object", "properties": {"file": file}, "required": ["file"]}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "200": {"description": "judged", "content": _json(schema)},
            "default": {"description": "refused", "content": _json("Refusal")},
        },
    }


def _file(summary: str, kind: str) -> dict[str, Any]:
    key = {"name": "id", "in": "path", "required": True, "schema": _TEXT}
    return {
        "summary": summary,
        "parameters": [key],
        "responses": {
            "200": {"description": "held", "content": {kind: {}}},
            "404": {"description": "no longer held", "content": _json("Refusal")},
        },
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(schema)}}
