"""The names of resources in the program. They are in every stack's state: another name is another resource."""

CLUSTER = "cluster"
CERT_MANAGER = "cert-manager"
NGINX_GATEWAY_FABRIC = "nginx-gateway-fabric"
STATE_NAMESPACE = "state-namespace"
MARKER = "marker"

ON_CLUSTER = (CERT_MANAGER, NGINX_GATEWAY_FABRIC, STATE_NAMESPACE, MARKER)
"""What is on a cluster and can be imported."""
