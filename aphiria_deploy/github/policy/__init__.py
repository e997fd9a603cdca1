"""What a preview's bundle may hold. Pure.

The bundle of a pull request is made by that pull request's own code, so it is hostile until it is shown not to be. It
is compared with a **reference**: the bundle that the main branch's code makes of the same environment and images. What
reaches beyond the preview's own namespace (its guards, the Jobs beside the database, what is dropped when it is
destroyed, the credentials that Secrets are made of) has to be exactly the reference's. Within the namespace a pull
request may do as it likes, with the kinds, images and names that a preview has.

A change of what has to be the reference's is previewed once it is merged.
"""

from __future__ import annotations

from dataclasses import dataclass

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.github.errors import PolicyError
from aphiria_deploy.github.policy.envelope import envelope_violations
from aphiria_deploy.github.policy.manifests import manifest_violations
from aphiria_deploy.github.policy.preflight import preflight_report, preflight_violations
from aphiria_deploy.github.policy.violation import Violation
from constructs_lib.checks import Report

__all__ = ["Judged", "Violation", "judge", "require_allowed", "violations"]


@dataclass(frozen=True)
class Judged:
    """What was found in a preview's bundle.

    Attributes:
        violations: What a preview may not hold.
        report: What the preflight rules found; none where what is there is not known to be objects.
    """

    violations: tuple[Violation, ...]
    report: Report | None


def judge(bundle: Bundle, reference: Bundle) -> Judged:
    """Looks for everything in a preview's bundle that a preview may not hold, and for what the rules find.

    Args:
        bundle: What the pull request's code made.
        reference: What the main branch's code makes of the same environment and the same images.
    """
    found = [*envelope_violations(bundle, reference), *manifest_violations(bundle, reference)]
    if found:
        # The rules take objects for objects, so they are run over what is known to be some.
        return Judged(tuple(found), None)
    return Judged(tuple(preflight_violations(bundle, reference)), preflight_report(bundle, reference))


def violations(bundle: Bundle, reference: Bundle) -> list[Violation]:
    """Gives everything in a preview's bundle that a preview may not hold."""
    return list(judge(bundle, reference).violations)


def require_allowed(bundle: Bundle, reference: Bundle) -> None:
    """Refuses a preview's bundle that holds what it may not.

    Raises:
        PolicyError: It does; the message has all of it.
    """
    found = violations(bundle, reference)
    if found:
        raise PolicyError(
            "\n".join([f"{bundle.environment.name}: the bundle holds what a preview may not hold:", *map(str, found)])
        )
