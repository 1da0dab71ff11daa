"""What API Gateway lets through for a key: whole projects, because it remembers its answer.

It keeps the policy for a minute and asks it for every route, so the policy must cover all that
the key may do: one for the route that was asked would refuse the next. Its patterns are coarse, a
star matches slashes too. So the policy keeps projects apart, and the functions check the scope of
each route (`noria.access.grants.allows`).
"""

from collections.abc import Sequence

from noria.records.access import ALL_PROJECTS, Grant


def policy(grant: Grant, method_arn: str, shared: Sequence[str]) -> dict[str, object]:
    """Return the IAM policy of all that a key may reach.

    Parameters
    ----------
    method_arn : str
        Of the request at hand: `arn:…:api/stage/METHOD/path`.
    shared : sequence of str
        Paths that belong to no project; their operations show only what the key covers.
    """
    stage_arn = "/".join(method_arn.split("/")[:2])
    if grant.projects == (ALL_PROJECTS,):
        resources = [f"{stage_arn}/*"]
    else:
        resources = [f"{stage_arn}/*/projects/{name}/*" for name in grant.projects]
        resources += [f"{stage_arn}/*{path}" for path in shared]
    allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resources}
    return {"Version": "2012-10-17", "Statement": [allow]}
