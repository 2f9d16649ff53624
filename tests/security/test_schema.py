"""Schemathesis against the served schema: whatever fits it is taken, and breaks nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from afx.testing.tower_process import TowerProcess
from e2e.asking import ask, with_key
from security.test_fuzz import REQUESTS


def described(target: TowerProcess) -> dict[str, Any]:
    """Return the served schema as OpenAPI, which schemathesis reads: the shapes, and where each belongs."""
    text = json.dumps(target.request("GET", "/api/schema")["$defs"])
    paths = {
        path: {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}},
                },
                "responses": {"default": {"description": "An answer."}},
            }
        }
        for path, shape in REQUESTS.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "afx", "version": "1"},
        "paths": paths,
        "components": {"schemas": json.loads(text.replace("#/$defs/", "#/components/schemas/"))},
    }


def whole(value: Any) -> Any:
    """Write whole numbers as such: to a schema 1.0 is an integer as well, to the Tower it is none."""
    match value:
        case dict():
            return {name: whole(one) for name, one in value.items()}
        case list():
            return [whole(one) for one in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


@pytest.mark.parametrize("path", REQUESTS)
def test_what_fits_the_served_schema_is_answered_and_never_breaks_the_tower(
    target: TowerProcess, path: str
) -> None:
    case_of = schemathesis.openapi.from_dict(described(target))[path]["POST"].as_strategy()

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case_of)
    def attack(case: schemathesis.Case[Any]) -> None:
        status, _, said = ask(target, "POST", path, with_key(target), json.dumps(whole(case.body)).encode())
        assert status < 500, said
        # What the schema lets in is of a shape that the Tower reads; it may be refused for what it says.
        if status == 400:
            assert b"body does not fit" not in said, (case.body, said)

    attack()
