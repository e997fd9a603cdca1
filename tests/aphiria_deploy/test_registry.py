"""Against Debian's registry: what it holds, and how it is logged in to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aphiria_deploy.errors import (
    AphiriaDeployError,
    CombinedError,
    ImageContentError,
    ImageNotFoundError,
    RegistryAccessError,
    RegistryContentError,
)
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry import ImageContent, Login, inspect, resolve
from tests.aphiria_deploy import registries
from tests.aphiria_deploy.registries import Reply, Request, Running, Server, Signer

NOWHERE = f"sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with registries.registry(tmp_path_factory.mktemp("open")) as running:
        yield running


def content(ref: str) -> ImageContent:
    return inspect({"web": ref})["web"]


# What it holds


def test_a_tag_is_resolved_to_its_digest_and_written_without_the_tag(open_registry: Running) -> None:
    image = open_registry.push_image("site/web", "1.2")
    ref = f"{open_registry.host}/site/web"
    assert resolve({"web": f"{ref}:1.2"}) == {"web": f"{ref}@{image.digest}"}


def test_without_a_tag_it_is_latest(open_registry: Running) -> None:
    image = open_registry.push_image("site/latest", "latest")
    ref = f"{open_registry.host}/site/latest"
    assert resolve({"web": ref}) == {"web": f"{ref}@{image.digest}"}


def test_a_moved_tag_is_resolved_to_where_it_is_now(open_registry: Running) -> None:
    ref = f"{open_registry.host}/site/moved:main"
    first = open_registry.push_image("site/moved", "main", note="first")
    assert resolve({"web": ref})["web"].endswith(first.digest)
    second = open_registry.push_image("site/moved", "main", note="second")
    assert resolve({"web": ref})["web"].endswith(second.digest)
    # The old one is still there by its digest.
    assert resolve({"web": f"{ref}@{first.digest}"})["web"].endswith(first.digest)


def test_a_single_image_may_be_reported_as_its_manifest_or_its_configuration(open_registry: Running) -> None:
    for docker in (False, True):
        image = open_registry.push_image("site/single", "1", docker=docker)
        found = content(f"{open_registry.host}/site/single:1")
        assert found.digest == image.digest
        assert found.digests == {image.digest, image.config}
        [platform] = found.platforms
        assert (platform.platform, platform.manifest, platform.config) == ("linux/amd64", image.digest, image.config)
        assert platform.revision == "c0ffee"


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_may_be_reported_as_itself_or_as_any_of_its_images(open_registry: Running, docker: bool) -> None:
    platforms = ("linux/amd64", "linux/arm64/v8")
    images = [open_registry.push_image("site/multi", platform=each, docker=docker) for each in platforms]
    index = open_registry.push_index("site/multi", "1", [image.descriptor() for image in images], docker=docker)
    found = content(f"{open_registry.host}/site/multi:1")
    assert found.digest == index.digest
    assert found.ref == f"{open_registry.host}/site/multi@{index.digest}"
    assert found.digests == {index.digest, *(image.digest for image in images), *(image.config for image in images)}
    assert [platform.platform for platform in found.platforms] == list(platforms)


def test_an_index_of_indexes_is_followed(open_registry: Running) -> None:
    image = open_registry.push_image("site/nested")
    inner = open_registry.push_index("site/nested", None, [image.descriptor()])
    outer = open_registry.push_index("site/nested", "1", [inner.descriptor()])
    found = content(f"{open_registry.host}/site/nested:1")
    assert found.digests == {outer.digest, inner.digest, image.digest, image.config}


def test_indexes_without_end_are_not_followed(open_registry: Running) -> None:
    document = open_registry.push_image("site/deep")
    for _ in range(4):
        document = open_registry.push_index("site/deep", "1", [document.descriptor()])
    with pytest.raises(ImageContentError, match="found indexes deeper than 3"):
        content(f"{open_registry.host}/site/deep:1")


def test_what_is_said_about_an_image_is_no_image(open_registry: Running) -> None:
    image = open_registry.push_image("site/attested")
    about = open_registry.push_image("site/attested", revision=None, note="provenance", platform="unknown/unknown")
    attestation = {**about.descriptor(), "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    index = open_registry.push_index("site/attested", "1", [image.descriptor(), attestation])
    found = content(f"{open_registry.host}/site/attested:1")
    assert found.digests == {index.digest, image.digest, image.config}
    found.require_revision("c0ffee")


def test_a_mirror_of_one_platform_is_enough_and_the_other_may_still_be_reported(open_registry: Running) -> None:
    here = open_registry.push_image("site/sparse")
    gone = open_registry.push_image("site/sparse", platform="linux/arm64")
    index = open_registry.push_index("site/sparse", "1", [here.descriptor(), gone.descriptor()])
    open_registry.delete("site/sparse", "manifests", gone.digest)
    found = content(f"{open_registry.host}/site/sparse:1")
    assert [platform.manifest for platform in found.platforms] == [here.digest]
    assert found.digests == {index.digest, here.digest, here.config, gone.digest}
    open_registry.delete("site/sparse", "manifests", here.digest)
    with pytest.raises(ImageContentError, match="found an index of which the registry holds no image"):
        content(f"{open_registry.host}/site/sparse:1")


def test_an_image_without_its_configuration_is_not_whole(open_registry: Running) -> None:
    image = open_registry.push_image("site/broken", "1")
    open_registry.delete("site/broken", "blobs", image.config)
    with pytest.raises(ImageNotFoundError, match=f"without its configuration {image.config}"):
        content(f"{open_registry.host}/site/broken:1")


def test_an_artifact_that_is_no_image_is_refused(open_registry: Running) -> None:
    open_registry.push_image("site/chart", "1", config_type="application/vnd.cncf.helm.config.v1+json")
    with pytest.raises(ImageContentError, match=r"helm.config.v1\+json', expected a container image"):
        content(f"{open_registry.host}/site/chart:1")


def test_a_deleted_tag_an_unknown_tag_and_an_unknown_repository_are_not_found(open_registry: Running) -> None:
    image = open_registry.push_image("site/deleted", "1")
    open_registry.delete("site/deleted", "manifests", image.digest)
    refs = ("site/deleted:1", f"site/deleted@{image.digest}", "site/web:none", "none/none", f"site/web@{NOWHERE}")
    for ask in (resolve, inspect):
        with pytest.raises(CombinedError) as raised:
            ask({str(number): f"{open_registry.host}/{ref}" for number, ref in enumerate(refs)})
        assert [type(error) for error in raised.value.errors] == [ImageNotFoundError] * len(refs)
        assert raised.value.exit_code == 2


def test_all_that_is_wrong_is_told_at_once_by_the_images_names(open_registry: Running) -> None:
    open_registry.push_image("site/web", "1.2")
    host = open_registry.host
    closed = f"127.0.0.1:{registries.free_port()}"
    images = {"web": f"{host}/site/web:1.2", "db": f"{closed}/db:1", "nginx": "NGINX", "api": f"{host}/site/api:1"}
    with pytest.raises(CombinedError) as raised:
        resolve(images, timeout=5.0)
    lines = str(raised.value).splitlines()
    assert [line.partition(" found ")[0] for line in lines] == [
        f"images: db: {closed}/db:1:",
        "images: nginx:",
        f"images: api: {host}/site/api:1:",
    ]
    assert "a refused connection" in lines[0]
    # The name that is none can be repaired at once; the other may come back by itself.
    assert raised.value.exit_code == 2


def test_the_commit_must_be_the_one_that_all_platforms_were_built_from(open_registry: Running) -> None:
    for tag, other in (("same", "c0ffee"), ("another", "decade"), ("unlabelled", None)):
        images = [
            open_registry.push_image("site/commit"),
            open_registry.push_image("site/commit", platform="linux/arm64", revision=other),
        ]
        open_registry.push_index("site/commit", tag, [image.descriptor() for image in images])
    ref = f"{open_registry.host}/site/commit"
    content(f"{ref}:same").require_revision("c0ffee", "images: web")
    with pytest.raises(ImageContentError, match=r"images: web: .*\(linux/arm64\): found an image built from 'decade'"):
        content(f"{ref}:another").require_revision("c0ffee", "images: web")
    with pytest.raises(ImageContentError, match=r"found an image without the label org.opencontainers.image.revision"):
        content(f"{ref}:unlabelled").require_revision("c0ffee", "images: web")


@pytest.mark.parametrize(
    "form", ["ghcr.io/a/b@{}", "docker-pullable://ghcr.io/a/b@{}", "docker://{}", "{}", "127.0.0.1:5000/a@{}"]
)
def test_what_runs_is_compared_in_every_form_in_which_runtimes_report_it(open_registry: Running, form: str) -> None:
    image = open_registry.push_image("site/reported", "1")
    found = content(f"{open_registry.host}/site/reported:1")
    assert found.is_reported_as(form.format(image.digest))
    assert found.is_reported_as(form.format(image.config))
    assert not found.is_reported_as(form.format(NOWHERE))
    assert not found.is_reported_as(form.format(image.digest[:-1]))
    assert not found.is_reported_as("")


def test_many_images_are_asked_for_at_once_and_keep_their_order(open_registry: Running) -> None:
    names = [f"image-{number}" for number in range(24)]
    digests = [open_registry.push_image("site/many", name, note=name).digest for name in names]
    found = resolve({name: f"{open_registry.host}/site/many:{name}" for name in names})
    assert list(found) == names
    assert [ref.partition("@")[2] for ref in found.values()] == digests


# Basic authentication


@pytest.fixture(scope="module")
def basic_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("basic")
    (folder / "htpasswd").write_text(registries.HTPASSWD)
    auth = {"htpasswd": {"realm": "a realm, with a comma", "path": str(folder / "htpasswd")}}
    owner = registries.basic(registries.USER, registries.PASSWORD)
    with registries.registry(folder, auth, lambda _: owner) as running:
        yield running


def login(password: str = registries.PASSWORD) -> Login:
    return Login(registries.USER, SecretValue(password))


def test_a_login_is_used_where_it_is_asked_for(basic_registry: Running) -> None:
    image = basic_registry.push_image("site/web", "1")
    ref = f"{basic_registry.host}/site/web"
    logins = {basic_registry.host: login()}
    assert resolve({"web": f"{ref}:1"}, logins) == {"web": f"{ref}@{image.digest}"}
    assert inspect({"web": f"{ref}:1"}, logins)["web"].digests == {image.digest, image.config}


def test_a_wrong_login_and_none_are_told_apart_and_not_shown(basic_registry: Running) -> None:
    ref = f"{basic_registry.host}/site/web:1"
    with pytest.raises(RegistryAccessError, match=r"the answer 401.* to the login of 'reader'") as raised:
        resolve({"web": ref}, {basic_registry.host: login("wrong-password")})
    assert "wrong-password" not in str(raised.value)
    assert raised.value.exit_code == 5
    for logins in ({}, {"ghcr.io": login()}):
        with pytest.raises(RegistryAccessError, match=r"the answer 401.* without a login"):
            resolve({"web": ref}, logins)


# Token authentication, as GHCR and Docker Hub have it


@dataclass
class Tokens:
    """A registry with token authentication, and its token service.

    The service gives anonymous leave to pull from repositories in ``public/``.
    """

    signer: Signer
    server: Server = field(init=False)
    registry: Running = field(init=False)
    seconds: int = 300
    name: str = "token"
    refusal: int = 401

    def answer(self, request: Request) -> Reply:
        authorization = request.headers.get("authorization")
        if authorization not in {None, registries.basic(registries.USER, registries.PASSWORD)}:
            return Reply(
                self.refusal,
                body=b'{"errors": [{"code": "DENIED", "message": "said: %s"}]}' % repr(request.headers).encode(),
            )
        kind, repository, actions = request.query["scope"].split(":")
        assert (kind, actions, request.query["service"]) == ("repository", "pull", "registry.test")
        granted = ["pull"] if authorization or repository.startswith("public/") else []
        token = self.signer.token(repository, granted, seconds=self.seconds)
        return Reply(200, {"Content-Type": "application/json"}, json.dumps({self.name: token}).encode())


@pytest.fixture(scope="module")
def token_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    folder: Path = tmp_path_factory.mktemp("token")
    signer = Signer(folder)
    service = Tokens(signer)
    with Server(service.answer) as service.server:
        auth = {
            "token": {
                "realm": f"http://{service.server.host}/token",
                "service": "registry.test",
                "issuer": "tests",
                "rootcertbundle": str(signer.certificate),
            }
        }

        def authorize(repository: str) -> str:
            return f"Bearer {signer.token(repository, ['pull', 'push', 'delete'])}"

        with registries.registry(folder, auth, authorize) as running:
            service.registry = running
            yield service


@pytest.fixture
def tokens(token_service: Tokens) -> Tokens:
    token_service.seconds, token_service.name, token_service.refusal = 300, "token", 401
    token_service.server.requests.clear()
    return token_service


@pytest.mark.parametrize("name", ["token", "access_token"])
def test_a_private_image_is_pulled_with_a_token_for_the_login(tokens: Tokens, name: str) -> None:
    tokens.name = name
    image = tokens.registry.push_image("private/web", "1")
    ref = f"{tokens.registry.host}/private/web"
    logins = {tokens.registry.host: login()}
    assert resolve({"web": f"{ref}:1"}, logins) == {"web": f"{ref}@{image.digest}"}
    assert inspect({"web": f"{ref}:1"}, logins)["web"].digests == {image.digest, image.config}
    assert tokens.server.asked("GET") == ["/token", "/token"]


def test_a_public_image_needs_no_login(tokens: Tokens) -> None:
    image = tokens.registry.push_image("public/web", "1")
    assert resolve({"web": f"{tokens.registry.host}/public/web:1"})["web"].endswith(image.digest)
    assert "authorization" not in tokens.server.requests[0].headers


def test_one_token_serves_all_of_a_repository_and_no_other(tokens: Tokens) -> None:
    images = [tokens.registry.push_image("private/multi", platform=each) for each in ("linux/amd64", "linux/arm64")]
    tokens.registry.push_index("private/multi", "1", [image.descriptor() for image in images])
    tokens.registry.push_image("private/other", "1")
    host = tokens.registry.host
    refs = {"a": f"{host}/private/multi:1", "b": f"{host}/private/multi:1", "c": f"{host}/private/other:1"}
    inspect(refs, {host: login()})
    scopes = sorted(request.query["scope"] for request in tokens.server.requests)
    assert scopes == ["repository:private/multi:pull", "repository:private/other:pull"]


def test_what_the_login_may_not_read_is_refused(tokens: Tokens) -> None:
    tokens.registry.push_image("private/web", "1")
    with pytest.raises(RegistryAccessError, match=r"the answer 401.* without a login.* private, and a login"):
        resolve({"web": f"{tokens.registry.host}/private/web:1"})
    # Once: another token would give no more leave.
    assert tokens.server.asked("GET") == ["/token"]


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_login_that_the_token_service_refuses_is_told_and_not_shown(tokens: Tokens, refusal: int) -> None:
    tokens.refusal = refusal
    host = tokens.registry.host
    with pytest.raises(
        RegistryAccessError, match=rf"the answer {refusal} \(DENIED\) of {tokens.server.host}"
    ) as raised:
        resolve({"web": f"{host}/private/web:1"}, {host: login("wrong-password")})
    shown = f"{raised.value}{raised.value!r}{raised.value.__cause__!r}"
    assert "wrong-password" not in shown
    assert registries.basic(registries.USER, "wrong-password") not in shown


def test_a_token_that_ran_out_is_replaced(tokens: Tokens) -> None:
    image = tokens.registry.push_image("private/web", "1")
    host = tokens.registry.host
    given = iter([-300, 300])
    answer = tokens.server.answer

    def answers(request: Request) -> Reply:
        tokens.seconds = next(given)
        return answer(request)

    tokens.server.answer = answers
    try:
        found = resolve({"web": f"{host}/private/web:1"}, {host: login()})
    finally:
        tokens.server.answer = answer
    assert found["web"].endswith(image.digest)
    assert tokens.server.asked("GET") == ["/token", "/token"]


# What the registry says is not believed


def test_a_document_that_was_changed_on_the_way_is_refused(open_registry: Running) -> None:
    image = open_registry.push_image("site/web", "1.2")

    def changed(request: Request) -> Reply:
        reply = registries.forward(request, open_registry.port)
        return Reply(reply.status, reply.headers, reply.body.replace(b'"layers"', b'"Layers"'))

    with Server(changed) as server:
        for target in (":1.2", f"@{image.digest}"):
            with pytest.raises(RegistryContentError, match=f"expected '{image.digest}'"):
                content(f"{server.host}/site/web{target}")


def test_a_configuration_that_was_changed_on_the_way_is_refused(open_registry: Running) -> None:
    image = open_registry.push_image("site/web", "1.2", revision="decade")

    def changed(request: Request) -> Reply:
        reply = registries.forward(request, open_registry.port)
        return Reply(reply.status, reply.headers, reply.body.replace(b"decade", b"c0ffee"))

    with Server(changed) as server, pytest.raises(RegistryContentError, match=f"expected '{image.config}'"):
        content(f"{server.host}/site/web:1.2")


def errors_of(ref: str) -> AphiriaDeployError:
    with pytest.raises(AphiriaDeployError) as raised:
        content(ref)
    return raised.value


@pytest.mark.parametrize(
    ("media_type", "document", "told"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "found the media type"),
        ("text/html", b"<html>", "found the media type"),
        (registries.OCI_MANIFEST, b"<html>", "found no JSON object"),
        (registries.OCI_MANIFEST, b"{}", "found no config"),
        (registries.OCI_INDEX, b'{"manifests": {}}', "found no manifests"),
        (registries.OCI_INDEX, b'{"manifests": [], "layers": []}', "found an index that is a manifest too"),
        (
            registries.OCI_INDEX,
            b'{"mediaType": "%s", "manifests": []}' % registries.OCI_MANIFEST.encode(),
            "found mediaType",
        ),
        (registries.OCI_INDEX, b'{"manifests": [1]}', r"manifests\[0\]: found no mediaType and digest"),
        (
            registries.OCI_INDEX,
            b'{"manifests": [{"digest": "sha256:1", "mediaType": "x"}]}',
            r"manifests\[0\]: found no",
        ),
        (registries.OCI_MANIFEST, b'{"config": {"digest": "../../x", "mediaType": "x"}}', "config: found no mediaType"),
    ],
)
def test_a_document_that_is_none_is_refused(media_type: str, document: bytes, told: str) -> None:
    with Server(lambda _: Reply(200, {"Content-Type": media_type}, document)) as server:
        error = errors_of(f"{server.host}/site/web:1")
    assert isinstance(error, RegistryContentError)
    assert error.exit_code == 5
    with pytest.raises(RegistryContentError, match=told):
        raise error


def test_a_digest_for_another_image_is_refused(open_registry: Running) -> None:
    image = open_registry.push_image("site/web", "1.2")
    for digest in (NOWHERE, "sha512:abc", "sha256:abc"):
        with (
            Server(lambda _, digest=digest: Reply(200, {"Docker-Content-Digest": digest})) as server,  # type: ignore[misc]
            pytest.raises(RegistryContentError, match=f"found the digest '{digest}'"),
        ):
            resolve({"web": f"{server.host}/site/web@{image.digest}"})


@pytest.mark.parametrize("status", [200, 405])
def test_a_registry_that_tells_no_digest_is_asked_for_the_document(open_registry: Running, status: int) -> None:
    image = open_registry.push_image("site/web", "1.2")

    def silent(request: Request) -> Reply:
        reply = registries.forward(request, open_registry.port)
        headers = {name: text for name, text in reply.headers.items() if name != "Docker-Content-Digest"}
        return Reply(status if request.method == "HEAD" else reply.status, headers, reply.body)

    with Server(silent) as server:
        assert resolve({"web": f"{server.host}/site/web:1.2"})["web"].endswith(image.digest)
        assert [request.method for request in server.requests] == ["HEAD", "GET"]
