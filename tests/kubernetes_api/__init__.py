"""An API server for tests that behaves like the real one where it matters to a client.

    objects        JSON, and the patches of it
    selectors      labels
    store          objects with rising versions, their history, lists in pages
    rbac           who may do what, by the rules of Roles
    certificates   a certificate authority, its server's certificate and clients'
    server         all of that over HTTPS, with watches, subresources and faults
    workload       a Deployment's pods and EndpointSlices, removed in the real order

What it is checked by: `test_kubectl.py` and `test_asyncio_client.py`, clients that others wrote.
"""
