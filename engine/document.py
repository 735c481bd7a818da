"""Graph documents in any of their forms: what they have in common is read here, their nodes by the form's module."""

from __future__ import annotations

from engine.columns import read_columns
from engine.errors import Findings, escape
from engine.expression import read_expression
from engine.forms import check_text
from engine.graph import Graph
from engine.nodes import read_nodes
from engine.numbers import describe

_FORMS = {
    "nodes": ("version", "name", "nodes", "outputs"),
    "columns": ("version", "name", "columns", "outputs"),
    "expression": ("version", "name", "expression", "data", "outputs"),
}
_READERS = {"nodes": read_nodes, "columns": read_columns, "expression": read_expression}


def read_document(document: object, pointer: str = "", max_nodes: int | None = None) -> Graph:
    """The graph of a document in any form; raises GraphError, with `pointer` before each error's pointer."""
    findings = Findings(pointer)
    if type(document) is not dict:
        raise findings.fatal("", "INVALID_VALUE", f"a graph must be an object, not {describe(document)}")
    forms = [key for key in document if key in _FORMS]
    if not forms:
        findings.add("/nodes", "MISSING_FIELD", "a graph needs nodes, an expression or columns")
    form = forms[0] if forms else "nodes"
    for key in document:
        if key in forms[1:]:
            findings.add(f"/{key}", "INVALID_VALUE", f"{key} and {form} exclude each other")
        elif key not in _FORMS[form]:
            known = ", ".join(_FORMS[form])
            findings.add(f"/{escape(key)}", "UNKNOWN_FIELD", f"the fields of such a graph are {known}")
    if type(version := document.get("version", 1)) is not int or version != 1:
        findings.add("/version", "INVALID_VALUE", "the version of a graph document is 1")
    if "name" in document:
        check_text(document["name"], "/name", findings)
    if not forms:
        raise findings.error()
    return _READERS[form](document, findings, max_nodes)
