"""A deploy that is verified: the site is the real nginx with TLS, its images are in a real registry; and terminals."""

from __future__ import annotations

import json
import os
import pty
import secrets
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from aphiria_deploy.bundle import Bundle, Check, CorsCheck, HealthCheck
from tests.aphiria_deploy.gateways import Certificates, Gateway
from tests.aphiria_deploy.registries import registry
from tests.e2e.command import SCRIPT, Commands
from tests.e2e.engine import OUTPUTS, Cluster, preview

pytestmark = pytest.mark.xdist_group("site-cluster")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def commands(site_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("verification"), site_cluster.plane.kubeconfig, OUTPUTS)


def _servers(web: str, api: str, origin: str, health: int) -> str:
    return f"""
    server {{ listen HTTPS; server_name {web}; location / {{ return 200; }} }}
    server {{ listen HTTPS; server_name {api};
        add_header Access-Control-Allow-Origin {origin} always;
        location /health {{ return {health}; }}
        location / {{ return 204; }} }}
    """


def test_the_running_site_is_asked_and_a_wrong_answer_fails_the_deploy(commands: Commands, tmp_path: Path) -> None:
    bundle = preview()
    web, api = (f"{bundle.environment.number}.{part}.aphiria.com" for part in ("pr", "pr-api"))
    certificates = Certificates.make(tmp_path)
    folder = tmp_path / "gateway"
    folder.mkdir()
    certificates.issue(folder, "*.pr.aphiria.com", "*.pr-api.aphiria.com")
    with Gateway(folder, _servers(web, api, "https://www.aphiria.com", 200)) as gateway:
        # The Gateway's address is 127.0.0.1; who may not listen on 443 has the port in its URLs.
        port = gateway.start().ports[443]
        origin = f"https://{web}:{port}"
        checks: list[Check] = [
            HealthCheck(url=f"{origin}/"),
            HealthCheck(url=f"https://{api}:{port}/health"),
            CorsCheck(url=f"https://{api}:{port}/", origin=origin),
        ]
        given = commands.bundle(msgspec.structs.replace(bundle, checks=checks, hash=""))
        arguments = ("pr", str(bundle.environment.number), "--bundle", given, *commands.named, *commands.settled)
        trusting = {"SSL_CERT_FILE": str(certificates.authority)}

        wrong = commands.run(*arguments, "--timeout", "20s", variables=trusting)
        assert wrong.code == 1, wrong
        assert f"OPTIONS https://{api}:{port}/ at 127.0.0.1: found 204 with Access-Control-Allow-Origin" in wrong.out
        assert f"expected Access-Control-Allow-Origin '{origin}'" in wrong.out
        assert wrong.out.count("found ") == 1, "of the others nothing is said"

        gateway.configure(_servers(web, api, origin, 200))
        right = commands.run(*arguments, variables=trusting)
        assert right.code == 0, right
        assert f"{bundle.environment.name}: deployed (revision 2)" in right.out
        assert f"https {api} {api}:{port} GET /health" in gateway.asked
    status = commands.ask("status", bundle.environment.name)
    assert (status.code, "healthy, revision 2 deployed" in status.out) == (0, True)


def test_a_tag_is_deployed_as_what_it_leads_to_and_only_of_the_commit(
    site_cluster: Cluster, commands: Commands, tmp_path: Path
) -> None:
    commit = secrets.token_hex(20)
    number = preview().environment.number
    with registry(tmp_path) as running:
        pushed = {
            name: running.push_image(f"aphiria/{name}", "branch", revision=commit, note=name) for name in ("web", "api")
        }
        references = [f"--{name}-image=localhost:{running.port}/aphiria/{name}:branch" for name in pushed]
        arguments = ("pr", str(number), *references, "--skip-health-check", *commands.named, *commands.settled)
        # Not in an empty folder: what is deployed is made here, by the site.
        other = commands.run(*arguments, "--commit", "f" * 40, folder=ROOT)
        assert (other.code, other.out) == (2, ""), other
        assert f"was built from {'f' * 40}: build the images of that commit" in other.err
        assert site_cluster.leftovers(f"pr-{number}") == []

        done = commands.run(*arguments, "--commit", commit, "--output", "json", folder=ROOT)
        assert (done.code, done.data["result"]) == (0, "deployed"), done
        for name, image in pushed.items():
            expected = f"localhost:{running.port}/aphiria/{name}"
            assert done.data["images"][name].startswith(expected)
            assert done.data["images"][name].endswith(f"@{image.digest}")
        [release] = commands.ask("history", f"pr-{number}", "--output", "json").data["releases"]
        assert release["commit"] == commit
        missing = commands.run(*arguments, f"--images=nginx=localhost:{running.port}/nobody/nginx:1", folder=ROOT)
        assert (missing.code, missing.out) == (2, ""), missing
        assert "nobody/nginx:1" in missing.err


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, commands: Commands, *arguments: str) -> None:
        self.seen = ""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:  # the child
            os.chdir("/")
            os.execve(SCRIPT, [str(SCRIPT), *arguments], {**commands.environment({}), "TERM": "xterm-256color"})

    def until(self, word: str, seconds: float = 60) -> str:
        """Reads until a word is there, and gives what was seen."""
        deadline = time.monotonic() + seconds
        while word not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self._read(1)
        return self.seen

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._terminal, keys.encode())

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal."""
        os.kill(self._pid, number)

    def end(self, seconds: float = 60) -> int:
        """Waits for its end, and gives its exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(0.05)
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                while self._read(0):
                    pass
                os.close(self._terminal)
                return os.waitstatus_to_exitcode(status)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        raise AssertionError(f"it does not end: {self.seen}")

    def _read(self, seconds: float) -> bool:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:
            # The other end is closed.
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


@pytest.fixture(scope="module")
def asked_about(site_cluster: Cluster) -> Iterator[Bundle]:
    """A preview that nobody has agreed to yet."""
    bundle = preview()
    yield bundle
    assert site_cluster.remembered(bundle.environment.name).headers[0].revision == 1


@pytest.mark.parametrize("keys", ["n\n", "\n", "\x03", "\x04", signal.SIGTERM], ids=["no", "enter", "^C", "^D", "TERM"])
def test_on_a_terminal_nothing_is_done_that_is_not_agreed_to(
    site_cluster: Cluster, commands: Commands, asked_about: Bundle, keys: str | signal.Signals
) -> None:
    name = asked_about.environment.name
    terminal = Terminal(commands, *commands.deploying(asked_about))
    seen = terminal.until(f"Deploy {name}? [y/N]: ")
    assert "created, " in seen
    assert f"+ Deployment preview-{name}/web" in seen.replace("\r\n", "\n")

    if isinstance(keys, signal.Signals):
        terminal.signal(keys)
    else:
        terminal.type(keys)

    assert terminal.end(seconds=15) == 1
    assert "Traceback" not in terminal.seen
    assert not site_cluster.remembered(name).headers


def test_on_a_terminal_what_is_agreed_to_is_shown_as_it_goes(
    site_cluster: Cluster, commands: Commands, asked_about: Bundle
) -> None:
    name = asked_about.environment.name
    terminal = Terminal(commands, *commands.deploying(asked_about))
    terminal.until(f"Deploy {name}? [y/N]: ")
    terminal.type("perhaps\n")
    terminal.until("found 'perhaps', expected y or n")
    terminal.type("Yes\n")

    assert terminal.end() == 0, terminal.seen
    after = terminal.seen.rpartition("[y/N]: ")[2]
    # The cursor moves: lines are written anew where they stand.
    assert "\x1b[2K" in after
    assert f"Deployment preview-{name}/web: " in after
    assert f"{name}: deployed (revision 1)" in after
    assert json.loads(commands.ask("status", name, "--output", "json").out)["healthy"] is True


def test_destroying_is_asked_about_too(site_cluster: Cluster, commands: Commands, asked_about: Bundle) -> None:
    name = asked_about.environment.name
    terminal = Terminal(commands, "destroy", name, *commands.named)
    terminal.until(f"Destroy {name} in context 'test' of ")
    terminal.type("n\n")

    assert terminal.end() == 1
    assert "was not agreed to; nothing was changed" in terminal.seen
    assert len(site_cluster.remembered(name).headers) == 1
