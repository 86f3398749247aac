"""Is this backend the enclave that its pool asks for? Each is asked for proof, again and again.

    secure_line   TLS to a backend: its certificates, what only this connection has, bytes
    ask           one question over it, and the answer that was bounded before it was read
    fetch         a whole visit: evidence, and what this end of the connection knows
    trust         what a verdict, or none, means for traffic: pure
    revoked       what is refuted whatever it proves: pure
    sharing       ticket names that two backends have: pure
    subject       a backend that is attested, and when it is next
    attestor      who is visited, and when
    policies      the policies that a configuration names

This protects placement. Confidentiality towards a client rests on the client's own check.
"""
