"""What every list takes."""

from marshmallow import Schema, fields

from service.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from service.schemas.fields import PageSize


class PageQuerySchema(Schema):
    """Which page of a list."""

    page_size = PageSize(MAX_PAGE_SIZE, load_default=DEFAULT_PAGE_SIZE)
    page_token = fields.String(
        metadata={"description": "`next_page_token` of the page before; made for the same filters."},
    )
