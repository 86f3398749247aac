"""The little of the Kubernetes API that a balancer needs, on aiohttp.

    access       what it takes to reach it: where it is, whom to believe, what to show
    credentials  the same of a pod, from its service account; or of whoever has a kubeconfig
    kubeconfig   the current context of one
    resources    the paths of objects
    client       one question, one bounded answer; lists page by page; watches
    reflector    a list that is kept up to date
    election     who leads, by a Lease

Objects stay what they are in JSON; `objects` reads single fields of them, and believes none.
Whatever goes wrong is an `ApiError` with a stable word for it.
"""

from l4proxy.kubernetes.access import Access
from l4proxy.kubernetes.client import ApiClient, Listing
from l4proxy.kubernetes.credentials import load_access
from l4proxy.kubernetes.election import Election, Lease
from l4proxy.kubernetes.errors import ApiError, ApiFault
from l4proxy.kubernetes.reflector import Reflector
from l4proxy.kubernetes.resources import Query, Resource

__all__ = [
    "Access",
    "ApiClient",
    "ApiError",
    "ApiFault",
    "Election",
    "Lease",
    "Listing",
    "Query",
    "Reflector",
    "Resource",
    "load_access",
]
