"""An API's pods come and go under load, and no request is lost: nginx and PHP-FPM end as their manifest says."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from constructs_lib.pod import Drain
from tests.runtime import sets
from tests.runtime.conftest import Pods
from tests.runtime.handovers import Report, hand_over
from tests.runtime.loads import Wrk
from tests.runtime.pods import Ending, Pod

_PAUSE = sets.DRAIN.pause
# The balancer hears of an end after half a second to one and a half, and so always before the pause is over.
_HEARD = (0.5, 1.5)
_QUIT_PHP = 'kill -QUIT "$(cat /tmp/php-fpm.pid)"; sleep 12'


def _hand_over(
    pods: Pods, template: sets.Template | None = None, *, times: int = 2, delays: tuple[float, float] = _HEARD
) -> Report:
    api = sets.api()
    report = hand_over(lambda: pods.start(api, template), Wrk, times=times, pause=_PAUSE, delays=delays)
    print(report)
    return report


@pytest.mark.xdist_group("runtime-handovers")
def test_fifty_handovers_under_load_lose_no_request(api_pods: Pods) -> None:
    report = _hand_over(api_pods, times=50)

    assert report.failed == 0, str(report)
    assert not report.lost, str(report)
    assert not report.killed, str(report)
    # And it was put to the test: requests were there when nginx was told to quit, and connections were kept.
    assert len(report.handovers) == 50, str(report)
    assert report.tally.requests > 2000, str(report)
    assert report.unfinished > 50, str(report)
    assert report.reused > report.tally.requests / 4, str(report)
    assert report.slowest_ending < sets.DRAIN.grace - 5, str(report)


@pytest.mark.xdist_group("runtime-requests")
def test_requests_are_lost_without_the_pre_stops(api_pods: Pods) -> None:
    report = _hand_over(api_pods, sets.without_pre_stop(sets.api().template("Deployment")))

    assert report.failed > 0, str(report)


@pytest.mark.xdist_group("runtime-requests")
def test_requests_are_lost_when_php_ends_at_once(api_pods: Pods) -> None:
    report = _hand_over(api_pods, sets.with_pre_stop(sets.api().template("Deployment"), "php", _QUIT_PHP))

    assert report.failed > 0, str(report)


@pytest.mark.xdist_group("runtime-requests")
def test_requests_are_lost_when_the_gateway_hears_of_the_end_after_the_pause(api_pods: Pods) -> None:
    report = _hand_over(api_pods, delays=(_PAUSE + 0.5, _PAUSE + 1))

    assert report.failed > 0, str(report)


def _upload_while_ending(pod: Pod) -> tuple[int, Ending]:
    """Uploads a body of which the last part comes when nginx has been told to quit, a while ago."""
    connection = pod.connect(pod.http_port)
    with ThreadPoolExecutor(1) as kubelet:
        connection.putrequest("POST", "/echo")
        connection.putheader("Content-Length", "6")
        connection.endheaders(b"abc")
        ending = kubelet.submit(pod.end)
        time.sleep(_PAUSE + 1.5)
        connection.send(b"def")
        status = connection.getresponse().status
        connection.close()
        return status, ending.result()


@pytest.mark.xdist_group("runtime-requests")
def test_php_waits_for_what_nginx_has_accepted_but_not_passed_on(api_pods: Pods) -> None:
    # A port whose hexadecimal digits, as in /proc/net/tcp, are letters too.
    pod = api_pods.ready(sets.api(port=0xABCD))

    status, ending = _upload_while_ending(pod)

    assert status == 200, pod.logs()
    assert not ending.killed
    assert _PAUSE + 1.5 <= ending.seconds < _PAUSE + 6


@pytest.mark.xdist_group("runtime-requests")
def test_what_nginx_has_accepted_is_lost_when_php_does_not_wait_for_it(api_pods: Pods) -> None:
    api = sets.api()
    pod = api_pods.ready(api, sets.with_pre_stop(api.template("Deployment"), "php", f"sleep {_PAUSE}; {_QUIT_PHP}"))

    status, _ = _upload_while_ending(pod)

    assert status == 502, pod.logs()


def _work_after_the_answer(pod: Pod) -> bool:
    """Ends a pod whose PHP works on after its answer, longer than nginx runs, and says whether it was let finish."""
    assert pod.request("GET", f"/after?ms={1000 * (_PAUSE + 2)}&file=work").status == 200
    ending = pod.end()
    assert not ending.killed
    return (pod.volume("php-tmp") / "work").exists()


@pytest.mark.xdist_group("runtime-requests")
def test_php_finishes_its_work_after_the_answer(api_pods: Pods) -> None:
    assert _work_after_the_answer(api_pods.ready(sets.api()))


@pytest.mark.xdist_group("runtime-requests")
def test_php_would_not_finish_its_work_without_its_configuration(api_pods: Pods) -> None:
    objects = copy.deepcopy(sets.api().objects)
    (config,) = (item for item in objects if item["metadata"]["name"] == "api-php-config")
    for file, text in config["data"].items():
        config["data"][file] = "\n".join(line for line in text.splitlines() if "timeout" not in line)

    assert not _work_after_the_answer(api_pods.ready(sets.Set(objects)))


@pytest.mark.xdist_group("runtime-requests")
def test_kept_connection_does_not_hold_the_pod(api_pods: Pods) -> None:
    pod = api_pods.ready(sets.api())
    connection = pod.connect(pod.http_port)
    connection.request("GET", "/health")
    connection.getresponse().read()

    ending = pod.end()

    connection.close()
    assert not ending.killed
    assert _PAUSE <= ending.seconds < _PAUSE + 4


@pytest.mark.xdist_group("runtime-requests")
def test_what_outlasts_the_grace_period_is_killed(api_pods: Pods) -> None:
    pod = api_pods.ready(sets.api(drain=Drain(pause=1, grace=3)))
    connection = pod.connect(pod.http_port)
    connection.request("GET", "/slow?ms=10000")

    ending = pod.end()

    connection.close()
    assert set(ending.killed) == {"nginx", "php"}
    assert 3 <= ending.seconds < 6
