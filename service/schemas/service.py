"""What the service says about itself."""

from marshmallow import Schema, fields, validate


class LimitsSchema(Schema):
    """What requests may not exceed; each is a setting."""

    max_body_bytes = fields.Integer(required=True)
    max_nodes = fields.Integer(required=True)
    max_page_size = fields.Integer(required=True)
    max_requests_per_minute = fields.Integer(
        required=True, metadata={"description": "Requests with one key, in each server process; 0: no limit."}
    )
    drawing_max_nodes = fields.Integer(required=True, metadata={"description": "Nodes of a graph that is drawn."})
    drawing_seconds = fields.Integer(required=True, metadata={"description": "Seconds that a drawing's layout takes."})
    max_batch_cells = fields.Integer(
        required=True, metadata={"description": "Rows of a batch (columns of a Jacobian or Hessian) times nodes."}
    )
    max_numbers = fields.Integer(
        required=True, metadata={"description": "Numbers in an answer beyond a value and a gradient a node."}
    )
    max_steps = fields.Integer(required=True, metadata={"description": "Steps of a descent."})
    async_cells = fields.Integer(
        required=True,
        metadata={"description": "Nodes times rows, columns or steps, above which a run is queued: 202."},
    )
    max_queued = fields.Integer(required=True, metadata={"description": "Runs that wait in the queue."})
    max_attempts = fields.Integer(required=True, metadata={"description": "Times that a run is taken up."})
    max_seconds = fields.Float(
        required=True, metadata={"description": "Seconds of computing, after which a run has failed."}
    )


class ServiceSchema(Schema):
    """Name, version and limits."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    limits = fields.Nested(LimitsSchema, required=True)


class HealthSchema(Schema):
    """A health check that passed."""

    status = fields.String(required=True)


class ExecutorSchema(Schema):
    """Who computes the parts of large queued runs."""

    kind = fields.String(
        required=True,
        validate=validate.OneOf(["threads", "dask"]),
        metadata={"description": "Threads of this process, or the workers of the Dask cluster that it is set to use."},
    )
    width = fields.Integer(required=True, metadata={"description": "How many parts are worked on at a time."})


class ReadinessSchema(HealthSchema):
    """Everything that the service needs is there."""

    executor = fields.Nested(ExecutorSchema, required=True)
