"""``gc``: previews whose pull request is closed, or that are too old, go."""

from __future__ import annotations

from datetime import datetime

from aphiria_deploy.github.engine import DestroyReport
from aphiria_deploy.github.previews import after_removal
from aphiria_deploy.github.selection import Choice, Collected, Limits, Why, agreed, collect, select
from aphiria_deploy.github.work import Work


def collect_garbage(work: Work, limits: Limits, now: datetime, *, dry: bool) -> Collected:
    """Destroys the previews that are to go.

    Args:
        work: What to work with.
        limits: The limits.
        now: The time.
        dry: Only say what would be done.

    Raises:
        DoubtError: What is open is not known for certain: nothing was destroyed.
        AphiriaDeployError: What is open, or what is there, cannot be read: nothing was destroyed.
    """
    live = work.engine.environments()
    previews = [one for one in live if one.environment.startswith("pr-")]
    first = work.github.open_pull_requests()
    opened = agreed(first, work.github.open_pull_requests(), len(previews))

    def still_goes(choice: Choice) -> bool:
        pull = work.github.pull_request(choice.number)
        return not pull.is_open or choice.why in {Why.OLD, Why.INACTIVE}

    def after(choice: Choice, report: DestroyReport) -> None:
        after_removal(work, work.github.pull_request(choice.number), report)

    return collect(
        select(previews, opened, limits, now), still_goes=still_goes, destroy=work.engine.destroy, after=after, dry=dry
    )
