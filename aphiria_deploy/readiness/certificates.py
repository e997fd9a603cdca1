"""cert-manager's Certificate and issuers.

Condition types and reasons are those of cert-manager 1.21: pkg/apis/certmanager/v1, pkg/controller/certificates,
pkg/issuer/acme/setup.go.
"""

from __future__ import annotations

import re

from aphiria_deploy.fields import Object, at, conditions, current, text
from aphiria_deploy.readiness.verdict import Readiness, failed, ready, waiting

_OWN_MISTAKES = frozenset({"InvalidConfig", "InvalidURL", "InvalidSolver"})
_REFUSED = re.compile(r"\b4\d\d urn:ietf:params:acme:error:")
"""An answer of the ACME server after which cert-manager does not try again."""


def certificate(item: Object) -> Readiness:
    """It is Ready for this generation and no new one is being issued.

    An issuance that failed is tried again after an hour, then after two, four and so on: for a deploy it has failed,
    unless a certificate from before is still good.
    """
    found = current(conditions(item.get("status")), item)
    issuing, usable = found.get("Issuing"), found.get("Ready")
    if issuing and issuing.status == "True":
        return waiting(f"being issued: {issuing}")
    if usable and usable.status == "True":
        until = text(at(item, "status", "notAfter"))
        return ready(f"issued, valid until {until}" if until else "issued")
    if issuing and issuing.status == "False" and at(item, "status", "lastFailureTime"):
        return failed(str(issuing))
    return waiting(str(usable) if usable else "waiting for cert-manager to see it")


def issuer(item: Object) -> Readiness:
    """It is Ready. What the certificate authority refused stays refused; the rest is tried again."""
    usable = current(conditions(item.get("status")), item).get("Ready")
    if not usable:
        return waiting("waiting for cert-manager to see it")
    if usable.status == "True":
        return ready(usable.message or "ready")
    if usable.reason in _OWN_MISTAKES or _REFUSED.search(usable.message):
        return failed(str(usable))
    return waiting(str(usable))
