"""The OpenAPI document of the API: nothing of it runs when a request is answered.

Operations check requests and make answers by hand, so that a cold start of predict imports no
pydantic. Tests hold every answer to its shape.
"""
