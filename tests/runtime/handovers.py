"""Hands a load over from pod to pod, as a rollout does, and says what became of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from tests.runtime.balancer import Balancer
from tests.runtime.loads import Load, Tally
from tests.runtime.pods import Ending, Pod


@dataclass(frozen=True)
class Handover:
    """One of them: a pod ended, another had taken over.

    Attributes:
        ending: How the pod ended.
        unfinished: How many requests it had when its pause was over and nginx was told to quit.
    """

    ending: Ending
    unfinished: int


@dataclass(frozen=True)
class Report:
    """What became of the load.

    Attributes:
        tally: What the clients saw.
        lost: What the balancer saw go wrong between it and the pods.
        reused: How many requests went over connections that had been kept.
        handovers: The handovers.
    """

    tally: Tally
    lost: Sequence[str]
    reused: int
    handovers: Sequence[Handover]

    @property
    def failed(self) -> int:
        """How many requests failed, as the clients saw it."""
        return self.tally.failed

    @property
    def killed(self) -> list[str]:
        """The containers that did not end within the grace period."""
        return [name for handover in self.handovers for name in handover.ending.killed]

    @property
    def unfinished(self) -> int:
        """How many requests were not finished when the nginx that had them was told to quit."""
        return sum(handover.unfinished for handover in self.handovers)

    @property
    def slowest_ending(self) -> float:
        """The most seconds that a pod took to end."""
        return max(handover.ending.seconds for handover in self.handovers)

    def __str__(self) -> str:
        first = "".join(f"\n  {line}" for line in self.lost[:10])
        return (
            f"{len(self.handovers)} handovers, {self.tally}; {self.reused} over kept connections, "
            f"{self.unfinished} unfinished when nginx was told to quit, the slowest end {self.slowest_ending:.1f} s, "
            f"killed: {', '.join(self.killed) or 'none'}; the balancer lost {len(self.lost)}{first}"
        )


def hand_over(
    start: Callable[[], Pod],
    load: Callable[[int], Load],
    *,
    times: int,
    pause: float,
    delays: tuple[float, float],
    every: float = 1.2,
    buffer: int | None = None,
    seed: int = 0,
) -> Report:
    """Replaces the pod that serves a load by a new one, many times.

    As in a rollout with a surge of one, the new pod is ready before the end of the old one is decided. At that moment
    its end begins, while the balancer still sends it requests: it hears of the decision later.

    Args:
        start: Starts a pod.
        load: Starts the load on a port.
        times: How many times.
        pause: Seconds after which a pod's nginx is told to quit.
        delays: The least and the most seconds until the balancer hears that a pod is ending.
        every: Seconds for which a pod serves alone.
        buffer: The size of the balancer's buffers, where a test needs small ones.
        seed: Of all that is random.
    """
    delay = random.Random(seed)

    def end(pod: Pod, heard_after: float) -> Handover:
        with ThreadPoolExecutor(1) as kubelet:
            ending = kubelet.submit(pod.end)
            time.sleep(heard_after)
            balancer.remove(pod)
            time.sleep(max(0.0, pause - heard_after))
            unfinished = balancer.in_flight(pod)
            return Handover(ending.result(), unfinished)

    with ExitStack() as pods, Balancer(seed, buffer=buffer) as balancer:
        serving = pods.enter_context(start()).wait_until_ready()
        balancer.add(serving)
        with load(balancer.port) as running, ThreadPoolExecutor(times) as ends:
            endings = []
            for _ in range(times):
                time.sleep(every)
                following = pods.enter_context(start()).wait_until_ready()
                balancer.add(following)
                endings.append(ends.submit(end, serving, delay.uniform(*delays)))
                serving = following
            handovers = [ending.result() for ending in endings]
            tally = running.stop()
        return Report(tally, list(balancer.lost), balancer.reused, handovers)
