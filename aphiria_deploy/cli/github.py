"""``aphiria-deploy github …``, ``gc`` and ``promote``: what the steps of workflows call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aphiria_deploy.cli import options as given
from aphiria_deploy.cli.options import Context, EnvironmentName, Format, Kubeconfig, Output, Outputs, Verbose, Yes

app = typer.Typer(
    name="github",
    help="Steps of workflows on GitHub, and their setting up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Archives = Annotated[Path, typer.Option(metavar="DIR", help="The folder with the images: NAME.oci.tar.")]
Approved = Annotated[Path, typer.Option(metavar="DIR", help="What is approved, as `gate` wrote it.")]
Commit = Annotated[str, typer.Option(metavar="SHA", help="The commit.")]
Branch = Annotated[str, typer.Option(metavar="NAME", help="The main branch.")]
Number = Annotated[str, typer.Argument(metavar="N", help="The number of the pull request.")]
DifferentTree = Annotated[
    bool, typer.Option("--accept-different-tree", help="Though the merge holds something else than what was previewed.")
]


@app.command("bundle")
def make_bundle(
    environment: EnvironmentName,
    archives: Archives = Path("images"),
    commit: Commit = "",
    bundle: Annotated[Path, typer.Option(metavar="FILE", help="Where the bundle goes.")] = Path("bundle.json"),
    verbose: Verbose = False,
) -> None:
    """Make an environment's bundle for images in files. It needs no secret and no network."""
    from aphiria_deploy.cli import stepping

    name = given.parse_environment(environment)
    typer.echo(stepping.make_bundle(name, archives, given.parse_commit(commit), bundle))


@app.command()
def gate(
    run: Annotated[int, typer.Option(metavar="ID", help="The run that built the preview.")],
    bundle: Annotated[Path, typer.Option(metavar="FILE", help="The bundle that it left.")] = Path("bundle.json"),
    archives: Archives = Path("images"),
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where what is approved goes.")] = Path("approved"),
    branch: Branch = "main",
    sarif: Annotated[
        str, typer.Option(metavar="FILE", help="Where what the preflight rules find goes, as SARIF; nowhere, if empty.")
    ] = "",
    verbose: Verbose = False,
) -> None:
    """Look at what a pull request's build left, and write down what would be approved. It writes nothing to GitHub."""
    from aphiria_deploy.cli import stepping

    typer.echo(stepping.gate(run, bundle, archives, out, branch, Path(sarif) if sarif else None))


@app.command()
def comment(
    number: Number,
    file: Annotated[Path, typer.Option(metavar="FILE", help="The text, as `gate` wrote it.")] = Path(
        "approved/comment.md"
    ),
    verbose: Verbose = False,
) -> None:
    """Make the one comment of a pull request say a text."""
    from aphiria_deploy.cli import stepping

    typer.echo(stepping.comment(given.parse_number(number), file))


@app.command("push-approved")
def push_approved(
    approved: Approved = Path("approved"), archives: Archives = Path("images"), verbose: Verbose = False
) -> None:
    """Push the images of a preview that was approved. What is not approved is refused."""
    from aphiria_deploy.cli import stepping

    typer.echo(stepping.push_approved(approved, archives))


@app.command()
def push(
    environment: EnvironmentName, commit: Commit, archives: Archives = Path("images"), verbose: Verbose = False
) -> None:
    """Push images of the main branch."""
    from aphiria_deploy.cli import stepping

    typer.echo(stepping.push_own(given.parse_environment(environment), archives, given.parse_commit(commit) or ""))


@app.command()
def deploy(
    approved: Approved = Path("approved"),
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Deploy the preview that was approved, and tell of it. What is not approved is refused."""
    from aphiria_deploy.cli import stepping

    said, healthy = stepping.deploy(approved, stepping.Cluster(kubeconfig, context, outputs))
    typer.echo(said)
    if not healthy:
        raise typer.Exit(1)


@app.command("outputs")
def write_outputs(
    file: Annotated[Path, typer.Option(metavar="FILE", help="Where they go; only you may read it.")] = Path(
        "outputs.json"
    ),
    verbose: Verbose = False,
) -> None:
    """Write what previews are deployed with, as the job's secrets say it, for --outputs FILE."""
    from aphiria_deploy.cli import issuing

    typer.echo(issuing.write_outputs(file))


@app.command()
def cleanup(
    number: Number,
    wait_for_lock: Annotated[str, typer.Option(metavar="DURATION", help="How long to wait for a deploy.")] = "12m",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Remove the preview of a closed pull request, and tell of it; one that is open again keeps its preview."""
    from aphiria_deploy.cli import stepping

    chosen = given.parse_number(number)
    given.parse_duration(wait_for_lock, "--wait-for-lock")
    said, clean = stepping.cleanup(chosen, stepping.Cluster(kubeconfig, context, outputs), wait_for_lock)
    typer.echo(said)
    if not clean:
        raise typer.Exit(1)


@app.command()
def room(
    file: Annotated[Path, typer.Option(metavar="FILE", help="Where it goes.")] = Path("room.json"),
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Write down what the previews' cluster has for more, for plans that are made without a credential of it."""
    from aphiria_deploy.cli import stepping

    typer.echo(stepping.room(file, stepping.Cluster(kubeconfig, context, outputs)))


@app.command()
def resolve(commit: Commit, branch: Branch = "main", verbose: Verbose = False) -> None:
    """Say whether production can get what ran in the preview of the pull request that a commit merged."""
    from aphiria_deploy.cli import stepping

    typer.echo(stepping.resolve(given.parse_commit(commit) or "", branch))


@app.command()
def release(
    commit: Commit,
    images: given.Images = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Deploy production with images of the main branch, and tell of it."""
    from aphiria_deploy.cli import stepping

    cluster = stepping.Cluster(kubeconfig, context, outputs)
    typer.echo(stepping.release(given.parse_commit(commit) or "", given.parse_images(images), cluster))


@app.command()
def drift(
    environments: Annotated[list[str], typer.Argument(metavar="ENV...", help="production, preview-base or pr-N.")],
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Look for drift, and keep the one issue that tells of it; exit code 3 if there is some, 1 if it is not known."""
    from aphiria_deploy.cli import stepping

    names = [given.parse_environment(name) for name in environments]
    said, code = stepping.drift(names, stepping.Cluster(kubeconfig, context, outputs))
    typer.echo(said)
    if code:
        raise typer.Exit(code)


@app.command()
def setup(
    reviewer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who may approve: a user, or @team. May be repeated.")
    ] = None,
    branch: Branch = "main",
    issuer_token: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="Make what previews are deployed with anew: a token of the account preview-issuer, to last so long.",
        ),
    ] = "",
    yes: Yes = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show what the repository lacks, and with --yes make what can be made.

    The cluster is asked for a token alone, and only with --issuer-token; --outputs has the outputs of preview-base.
    """
    from aphiria_deploy.cli import stepping

    seconds = given.parse_duration(issuer_token, "--issuer-token") if issuer_token else None
    cluster = stepping.Cluster(kubeconfig, context, outputs)
    typer.echo(stepping.setup(reviewer or [], branch, seconds, cluster, yes=yes, output=output))


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    most: Annotated[int, typer.Option("--max", min=0, help="How many go at most.")] = 5,
    grace: Annotated[str, typer.Option(metavar="DURATION", help="How long a deploy is left alone.")] = "0s",
    max_age: Annotated[str, typer.Option(metavar="DURATION", help="How old a preview may get; 168h is a week.")] = "",
    max_inactive: Annotated[
        str, typer.Option(metavar="DURATION", help="How long nothing may happen in its pull request.")
    ] = "",
    keep: Annotated[str, typer.Option(metavar="LABEL", help="Pull requests with it keep an old preview.")] = "keep",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Destroy previews whose pull request is closed, or that are too old; exit code 1 if one could not be."""
    from aphiria_deploy.cli import stepping

    limits = stepping.limits(most, grace, max_age, max_inactive, keep)
    said, failed = stepping.collect(limits, stepping.Cluster(kubeconfig, context, outputs), dry=dry_run, output=output)
    typer.echo(said)
    if failed:
        raise typer.Exit(1)


def promote(
    preview: Annotated[str, typer.Argument(metavar="pr-N", help="The preview.")],
    commit: Annotated[str, typer.Option(metavar="SHA", help="The commit to deploy; the merge, if not given.")] = "",
    branch: Branch = "main",
    accept_different_tree: DifferentTree = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Deploy production with exactly the images that ran in a preview."""
    from aphiria_deploy.cli import stepping

    cluster = stepping.Cluster(kubeconfig, context, outputs)
    chosen = given.parse_commit(commit)
    typer.echo(stepping.promote(preview, chosen, branch, cluster, accept_different_tree=accept_different_tree))
