"""The peer under load: a bare Flask endpoint that reads the JSON it is sent and writes it back."""

import orjson
from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/")
def echo() -> Response:
    """Answer what was asked, by the JSON library that the service uses."""
    return Response(orjson.dumps(orjson.loads(request.get_data())), content_type="application/json")
