"""The spellings of an answer."""

from enum import StrEnum


class Form(StrEnum):
    """How an answer spells what belongs to nodes: mappings by id, or arrays in document order."""

    NODES = "nodes"
    COLUMNS = "columns"
