"""What crosses the wire, as marshmallow schemas: request bodies, queries, and the documents answered."""
