"""What is asked of a running site, on the real nginx with TLS."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aphiria_deploy.bundle import Check, CorsCheck, HealthCheck, RedirectCheck
from aphiria_deploy.engine import verify as verifying
from aphiria_deploy.engine.verify import CheckResult, VerificationError, require, verify
from aphiria_deploy.errors import CancelledError, DeadlineExceededError
from aphiria_deploy.kube.deadline import Cancellation, Deadline
from tests.aphiria_deploy.gateways import Certificates, Gateway
from tests.aphiria_deploy.registries import free_port

WEB, API = "7.pr.shop.test", "7.pr-api.shop.test"
NAMES = ("*.pr.shop.test", "*.pr-api.shop.test")
SITE = f"""
server {{ listen HTTP; return 301 https://$host/; }}
server {{ listen HTTPS; server_name {WEB};
    location / {{ return 200; }}
    location /old {{ return 302 /new?a=1; }}
    location /port {{ return 301 https://{WEB.upper()}:443; }}
    location /broken {{ return 301 https://[; }}
    location /gone {{ return 404; }} location /down {{ return 503; }} location /failing {{ return 500; }}
}}
server {{ listen HTTPS; server_name {API};
    add_header Access-Control-Allow-Origin https://{WEB} always;
    location /health {{ return 200; }}
    location / {{ return 204; }}
    location /open {{ add_header Access-Control-Allow-Origin *; return 204; }}
    location /twice {{
        add_header Access-Control-Allow-Origin https://{WEB}; add_header Access-Control-Allow-Origin https://{WEB};
        return 204;
    }}
    location /silent {{ add_header X-Any any; return 204; }}
    location /get {{ if ($request_method = OPTIONS) {{ return 405; }} return 200; }}
}}
"""
CHECKS: list[Check] = [
    HealthCheck(url=f"https://{WEB}/"),
    HealthCheck(url=f"https://{API}/health"),
    CorsCheck(url=f"https://{API}/", origin=f"https://{WEB}"),
    RedirectCheck(url=f"http://{WEB}/", location=f"https://{WEB}/"),
]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def folder(certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a certificate for the site's hosts, of an authority that is trusted."""
    certificates.issue(tmp_path, *NAMES)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    return tmp_path


@pytest.fixture
def gateway(folder: Path) -> Iterator[Gateway]:
    with Gateway(folder, SITE) as made:
        yield made.start()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections, and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening


def ask(
    gateway: Gateway, checks: Sequence[Check], *, seconds: float = 60, within: float = 10, verified: bool = True
) -> list[CheckResult]:
    deadline = Deadline.after(seconds, "the deploy")
    return verify(checks, gateway.address, deadline, verified=verified, within=within, ports=gateway.ports)


def ask_one(gateway: Gateway, check: Check, *, verified: bool = True) -> CheckResult:
    """Asks once: where a pause would outlast the time that there is, nothing is asked again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "FIRST_PAUSE", 60.0)
        [result] = ask(gateway, [check], verified=verified)
    assert result.attempts == 1
    return result


def ask_meanwhile(
    gateway: Gateway, checks: Sequence[Check], seconds: float, change: Callable[[], object], *, within: float = 10
) -> list[CheckResult]:
    """Asks in another thread, and changes something after a while."""
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, gateway, checks, within=within)
        time.sleep(seconds)
        change()
        return asked.result()


def test_a_site_that_answers_as_it_has_to_is_verified_at_once(gateway: Gateway) -> None:
    results = ask(gateway, CHECKS)
    require(results)
    assert [(result.check, result.ok, result.attempts, result.hint) for result in results] == [
        (check, True, 1, "") for check in CHECKS
    ]
    assert [result.found for result in results] == [
        "200",
        "200",
        f"204 with Access-Control-Allow-Origin 'https://{WEB}'",
        f"301 to https://{WEB}/",
    ]


def test_hosts_are_named_in_the_handshake_and_in_the_request_and_never_looked_up(gateway: Gateway) -> None:
    # No DNS has names below .test (RFC 6761): who looked one up would have no answer.
    require(ask(gateway, CHECKS))
    assert sorted(gateway.asked) == [
        f"http - {WEB} GET /",
        f"https {API} {API} GET /health",
        f"https {API} {API} OPTIONS /",
        f"https {WEB} {WEB} GET /",
    ]


def test_a_proxy_of_the_environment_is_not_asked(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    require(ask(gateway, CHECKS))


@pytest.mark.skipif(os.geteuid() != 0, reason="the ports 80 and 443 are root's")
def test_the_ports_are_the_urls_own_unless_others_are_given(folder: Path) -> None:
    with Gateway(folder, SITE, address="127.0.0.77", ports=(80, 443)) as gateway:
        gateway.start()
        require(verify(CHECKS, "127.0.0.77", Deadline.after(10)))
        assert len(gateway.asked) == len(CHECKS)


def test_an_address_may_be_a_name(gateway: Gateway) -> None:
    require(verify(CHECKS, "localhost", Deadline.after(10), ports=gateway.ports))


def test_an_address_may_be_one_of_ipv6(folder: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6 on the loopback")
    with Gateway(folder, SITE, address="[::1]") as gateway:
        gateway.start()
        require(verify(CHECKS, "::1", Deadline.after(10), ports=gateway.ports))


def test_a_gateway_that_starts_late_is_waited_for(folder: Path) -> None:
    with Gateway(folder, SITE) as gateway:
        results = ask_meanwhile(gateway, CHECKS, 1.0, gateway.start)
        require(results)
        assert all(result.attempts > 1 and 1.0 < result.seconds < 10 for result in results)


def test_a_configuration_that_spreads_late_is_waited_for(folder: Path) -> None:
    with Gateway(folder, "server { listen HTTP; return 404; } server { listen HTTPS; return 503; }") as gateway:
        gateway.start()
        results = ask_meanwhile(gateway, CHECKS, 1.0, lambda: gateway.configure(SITE))
        require(results)
        assert all(result.attempts > 1 for result in results)


@pytest.mark.parametrize(
    ("check", "found", "expected", "hint"),
    [
        (HealthCheck(url=f"https://{WEB}/gone"), "404", "200", "whether the route of this host is accepted"),
        (HealthCheck(url=f"https://{WEB}/down"), "503", "200", "no pod behind it answers"),
        (HealthCheck(url=f"https://{WEB}/failing"), "500", "200", "see the logs of the site"),
        (HealthCheck(url=f"https://{WEB}/", status=204), "200", "204", "see which route takes"),
        (HealthCheck(url=f"https://{WEB}/old"), "302 to https://7.pr.shop.test:PORT/new?a=1", "200", "see which route"),
        (
            CorsCheck(url=f"https://{API}/", origin="https://8.pr.shop.test"),
            f"204 with Access-Control-Allow-Origin 'https://{WEB}'",
            "Access-Control-Allow-Origin 'https://8.pr.shop.test'",
            "from which variable the API takes its front end's origin",
        ),
        (
            CorsCheck(url=f"https://{API}/open", origin=f"https://{WEB}"),
            "204 with Access-Control-Allow-Origin '*'",
            f"Access-Control-Allow-Origin 'https://{WEB}'",
            "from which variable",
        ),
        (
            CorsCheck(url=f"https://{API}/twice", origin=f"https://{WEB}"),
            f"204 with Access-Control-Allow-Origin 'https://{WEB}, https://{WEB}'",
            f"Access-Control-Allow-Origin 'https://{WEB}'",
            "from which variable",
        ),
        (
            CorsCheck(url=f"https://{API}/silent", origin=f"https://{WEB}"),
            "204 without Access-Control-Allow-Origin",
            f"Access-Control-Allow-Origin 'https://{WEB}'",
            "from which variable",
        ),
        (
            RedirectCheck(url=f"http://{WEB}/", location=f"https://www.{WEB}/"),
            f"301 to https://{WEB}/",
            f"301 to https://www.{WEB}/",
            "see which route takes this host and path",
        ),
        (RedirectCheck(url=f"https://{WEB}/", location=f"https://{WEB}/"), "200", f"301 to https://{WEB}/", "route"),
        (
            RedirectCheck(url=f"https://{WEB}/broken", location=f"https://{WEB}/"),
            "301 to https://[",
            f"301 to https://{WEB}/",
            "route",
        ),
    ],
)
def test_what_is_wrong_is_told_with_what_was_found_and_expected_and_a_hint(
    gateway: Gateway, check: Check, found: str, expected: str, hint: str
) -> None:
    result = ask_one(gateway, check)
    assert not result.ok
    # nginx names its own port where it makes a location absolute.
    assert result.found == found.replace("PORT", str(gateway.ports[443]))
    assert result.expected == expected
    assert hint in result.hint
    with pytest.raises(VerificationError) as raised:
        require([result])
    told = f"{method(check)} {check.url} at 127.0.0.1: found {result.found}, expected {expected} (asked 1 time in "
    assert str(raised.value).startswith(told)
    assert str(raised.value).endswith(f"s): {result.hint}")
    assert raised.value.exit_code == 1


def method(check: Check) -> str:
    return "OPTIONS" if isinstance(check, CorsCheck) else "GET"


@pytest.mark.parametrize(
    "check",
    [
        RedirectCheck(url=f"https://{WEB}/port", location=f"https://{WEB}/"),
        RedirectCheck(url=f"https://{WEB}/old", location=f"https://{WEB}:PORT/new?a=1", status=302),
        HealthCheck(url=f"https://{WEB}/gone", status=404),
        HealthCheck(url=f"https://{WEB}"),
        HealthCheck(url=f"https://{WEB}/?a=1#b"),
        CorsCheck(url=f"https://{API}/get", origin=f"https://{WEB}"),
    ],
)
def test_what_is_only_spelt_otherwise_is_right(gateway: Gateway, check: Check) -> None:
    if isinstance(check, RedirectCheck):
        location = check.location.replace("PORT", str(gateway.ports[443]))
        check = RedirectCheck(url=check.url, location=location, status=check.status)
    require([ask_one(gateway, check)])


def test_a_certificate_of_another_name_is_told_with_the_host(gateway: Gateway) -> None:
    result = ask_one(gateway, HealthCheck(url="https://a.b.pr.shop.test/"))
    assert not result.ok
    assert result.found.startswith("a certificate that is not trusted (Hostname mismatch")
    assert "names a.b.pr.shop.test" in result.hint
    assert gateway.asked == [], "nothing is sent to who is not the host"


def test_a_certificate_of_nobody_is_refused_and_of_a_local_cluster_taken(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "unable to get local issuer certificate" in ask_one(gateway, CHECKS[0]).found
    assert ask_one(gateway, CHECKS[0], verified=False).ok
    require(ask(gateway, CHECKS, verified=False))


def test_a_certificate_that_comes_late_is_waited_for(folder: Path, certificates: Certificates) -> None:
    certificates.issue(folder, "other.test")
    with Gateway(folder, SITE) as gateway:
        gateway.start()

        def issued() -> None:
            certificates.issue(folder, *NAMES)
            gateway.configure(SITE)

        require(ask_meanwhile(gateway, CHECKS, 0.5, issued))


def test_nobody_there_is_told(folder: Path) -> None:
    with Gateway(folder, SITE) as gateway:
        result = ask_one(gateway, CHECKS[0])
        assert (result.found, result.hint) == (
            "a refused connection",
            "see whether the Gateway is programmed and has this address, and whether a firewall is in between",
        )


def test_an_address_that_is_no_more_is_told() -> None:
    [result] = verify([CHECKS[0]], "gateway.shop.test", Deadline.after(10), within=0.2)
    assert result.found.startswith("no address for its name")


def test_who_never_answers_costs_the_time_of_all_checks_once(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    begun = time.monotonic()
    results = verify(CHECKS * 5, "127.0.0.1", Deadline.after(60), within=1.0, ports={80: port, 443: port})
    assert time.monotonic() - begun < 15, "one after the other they would take 20 seconds"
    assert not any(result.ok for result in results)
    assert all(re.fullmatch(r"no answer within [01]\.\d s", result.found) for result in results)


def test_the_deadline_of_the_deploy_counts_where_it_is_earlier(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    begun = time.monotonic()
    results = verify(CHECKS, "127.0.0.1", Deadline.after(0.5), within=30, ports={80: port, 443: port})
    assert time.monotonic() - begun < 15
    assert not any(result.ok for result in results)


def test_an_attempt_that_the_end_cuts_short_does_not_hide_what_was_found_before(
    folder: Path, silent: socket.socket
) -> None:
    slow = f"server {{ listen HTTP; location / {{ proxy_pass http://127.0.0.1:{silent.getsockname()[1]}; }} }}"
    with Gateway(folder, "server { listen HTTP; return 503; } server { listen HTTPS; return 503; }") as gateway:
        gateway.start()

        def change() -> None:
            while not gateway.asked:
                time.sleep(0.02)
            gateway.configure(f"{slow} server {{ listen HTTPS; return 503; }}")

        [result] = ask_meanwhile(gateway, [HealthCheck(url=f"http://{WEB}/")], 0, change, within=3.0)
        assert result.attempts > 1
        assert result.found == "503"


def test_without_time_nothing_is_asked(gateway: Gateway) -> None:
    with pytest.raises(DeadlineExceededError, match=r"the deploy took longer .* waiting for the running site at 127"):
        ask(gateway, CHECKS, seconds=0)
    assert gateway.asked == []


def test_who_is_told_to_stop_stops_at_once(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    cancellation = Cancellation()
    deadline = Deadline.after(60, "the deploy", cancellation)
    late = threading.Timer(0.3, cancellation.cancel, ["SIGTERM"])
    late.start()
    begun = time.monotonic()
    with pytest.raises(CancelledError, match=r"stopped while waiting for the running site at 127\.0\.0\.1: SIGTERM"):
        verify(CHECKS, "127.0.0.1", deadline, ports={80: port, 443: port})
    assert time.monotonic() - begun < 15
    late.join()


def test_every_failure_is_told_and_what_holds_is_kept(gateway: Gateway) -> None:
    wrong: list[Check] = [HealthCheck(url=f"https://{WEB}/gone"), CorsCheck(url=f"https://{API}/", origin="null")]
    with pytest.raises(VerificationError) as raised:
        require(ask(gateway, [CHECKS[0], *wrong], within=3.0))
    assert [line.split(" at ")[0] for line in str(raised.value).splitlines()] == [
        f"GET https://{WEB}/gone",
        f"OPTIONS https://{API}/",
    ]
    assert [result.ok for result in raised.value.results] == [True, False, False]
    assert all(result.attempts > 1 for result in raised.value.results[1:])


def test_without_checks_nothing_is_asked() -> None:
    require(verify([], "127.0.0.1", Deadline.after(1)))


def test_the_time_for_a_gateway_is_bounded() -> None:
    assert verifying.LONGEST_PAUSE < verifying.ATTEMPT_SECONDS < verifying.WITHIN <= 60
