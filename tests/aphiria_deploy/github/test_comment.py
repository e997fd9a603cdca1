"""What the comment says, and what it can be made to say by what nobody has vetted."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.github.comment import Preview, State, document, gantt, marker, render
from aphiria_deploy.github.difference import Difference, FieldChange, Item, Kind, Line
from aphiria_deploy.github.engine import Capacity, DeployReport, Diagnosed, LogTail, Phase, ReceiptLine
from aphiria_deploy.github.markdown import LIMIT, block, code, escaped, link, table
from aphiria_deploy.github.previews import told
from aphiria_deploy.github.production import Departure

RUN = "https://github.com/aphiria/aphiria.com/actions/runs/1"
PREVIEW = Preview(
    number=107,
    state=State.DEPLOYED,
    commit="a" * 40,
    run_url=RUN,
    urls={"web": "https://107.pr.aphiria.com", "api": "https://107.pr-api.aphiria.com"},
    images={"web": f"ghcr.io/aphiria/aphiria.com-web@sha256:{'1' * 64}"},
    bundle=f"sha256:{'b' * 64}",
    plan=Difference(
        (
            Item(
                Kind.CHANGED,
                "Deployment preview-pr-107/web",
                (FieldChange("spec.replicas", (Line("-", "1"), Line("+", "2"))),),
            ),
        ),
        18,
    ),
    reserves="reserves 700m CPU, 1664Mi memory in 2 pods",
    phases=(Phase("Jobs", 12.3), Phase("workloads", 20)),
    seconds=32.3,
    departures=(Departure("Deployment web: replicas", "1", "2"),),
)


def test_it_says_all_that_is_known() -> None:
    text = render(PREVIEW)

    assert text.splitlines()[0] == "<!-- aphiria-deploy:pr-107 -->"
    assert "✅ The preview of pull request 107 is deployed" in text
    for said in (
        "[107.pr.aphiria.com](https://107.pr.aphiria.com)",
        f"`{'a' * 40}`",
        f"web@sha256:{'1' * 64}",
        f"sha256:{'b' * 64}",
        "18 unchanged",
        "! Deployment preview-pr-107/web",
        "+     2",
        "reserves 700m CPU, 1664Mi memory",
        "32.3 s",
        "| `Deployment web: replicas` | `1` | `2` |",
        f"[the workflow's run]({RUN})",
    ):
        assert said in text
    assert "```mermaid\ngantt" in text


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_words(state: State) -> None:
    head = render(Preview(number=7, state=state)).splitlines()[2]

    assert head.startswith("### ")
    assert "pull request 7 " in head


def test_phases_follow_one_another() -> None:
    assert gantt([Phase("plan", 1.5), Phase("", 0), Phase("roll: out; #1", 2)]) == [
        "gantt",
        "    dateFormat x",
        "    axisFormat %M:%S",
        "    plan (1.5 s) :p0, 0, 1500",
        "    phase 2 (0.0 s) :p1, 1500, 1501",
        "    roll out 1 (2.0 s) :p2, 1501, 3501",
    ]


def test_a_failure_says_why_and_what_to_do() -> None:
    diagnosis = Diagnosed(
        kind="Deployment",
        object="preview-pr-107/web",
        reason="ImagePullBackOff",
        message="the image cannot be pulled",
        hint="check the pull secret",
        events=["Warning Failed: no such image"],
        logs=[LogTail("web-1", "web", ["first", "last"])],
    )
    text = render(Preview(number=107, state=State.FAILED, diagnosis=diagnosis))

    assert "Deployment preview-pr-107/web: the image cannot be pulled" in text
    assert "reason: ImagePullBackOff" in text
    assert "what to do: check the pull secret" in text
    assert "Warning Failed: no such image" in text
    assert "first\nlast" in text


def test_the_receipt_says_what_is_still_there() -> None:
    receipt = [ReceiptLine("Namespace", "preview-pr-107", True), ReceiptLine("database", "aphiria_pr_107", False)]
    text = render(Preview(number=107, state=State.LEFTOVERS, receipt=receipt))

    assert "Receipt: not all of 2" in text
    assert "| database | `aphiria_pr_107` | **still there** |" in text
    assert "<details open><summary>Receipt" in text


# What is hostile


HOSTILE = [
    "@everyone look",
    "</details><script>alert(1)</script>",
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "```\n# out of the fence\n@ann",
    "````````\n@ann",
    f"{marker(8)}",
    "a | b | c",
    "line\n\n### heading",
    "\x1b[31mred\x00",
    "\u202egnp.exe",
]


def shown(text: str) -> str:
    """What of a Markdown text is no code."""
    text = re.sub(r"(?ms)^(`{3,})[^\n`]*\n.*?^\1$", "", text)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_comes_from_a_pull_request_is_shown_and_not_obeyed(hostile: str) -> None:
    text = render(
        Preview(
            number=7,
            state=State.FAILED,
            commit=hostile,
            note=hostile,
            urls={hostile: hostile},
            images={hostile: hostile},
            bundle=hostile,
            plan=Difference((Item(Kind.CREATED, hostile, (FieldChange(hostile, (Line("+", hostile),)),)),), 0),
            reserves=hostile,
            phases=(Phase(hostile, 1),),
            diagnosis=Diagnosed(
                hostile, hostile, hostile, hostile, hostile, [hostile], [LogTail(hostile, hostile, [hostile])]
            ),
            findings=(hostile,),
            departures=(Departure(hostile, hostile, hostile),),
            receipt=(ReceiptLine(hostile, hostile, False),),
        )
    )

    assert text.startswith(f"{marker(7)}\n")
    # Escaped, it is none of Markdown's; but mentions are made of what is left when all of that is read.
    prose = re.sub(r"\\(.)", "", shown(text.removeprefix(marker(7))))
    assert not re.search(r"@(?!\u200b)", shown(text))
    assert "<script" not in prose
    assert "<!--" not in prose
    # What is in a summary is HTML, of which no Markdown is read.
    outside = re.sub(r"<summary>.*?</summary>", "", prose)
    assert "](" not in re.sub(r"\[[^]]*\]\(https://github[^)]*\)", "", outside)
    assert "![" not in outside
    assert "# out of the fence" not in prose
    assert "\n### heading" not in prose
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(re.findall(r"<details", prose)) == len(re.findall(r"</details>", prose))


@given(st.text())
def test_code_is_one_code_span_whatever_is_in_it(text: str) -> None:
    span = code(text)
    fence = re.match(r"`+", span)

    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert "\n" not in span
    assert span.endswith(fence[0])
    assert all(len(run) != len(fence[0]) for run in re.findall(r"`+", inner))


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_a_block_is_one_block_whatever_is_in_it(lines: list[str]) -> None:
    rendered = block("title", lines).render("").splitlines()
    fences = [number for number, line in enumerate(rendered) if re.fullmatch(r"`{3,}", line)]

    assert len(rendered[2]) == max(len(rendered[number]) for number in fences)
    assert [number for number in fences if len(rendered[number]) == len(rendered[2])] == [2, len(rendered) - 3]


@given(st.text(alphabet="ab|\\`*"))
def test_a_cell_does_not_end_its_row(text: str) -> None:
    row = table(("", ""), [(code(text), escaped(text))])[2]

    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://107.pr.aphiria.com",
        "javascript:alert(1)",
        "https://a.example/) [x](https://evil.example",
        "https://user@evil.example",
        "https://a.example/<script>",
        "",
    ],
)
def test_what_is_no_plain_address_is_no_link(url: str) -> None:
    assert link("words", url) == code(url)


# Secrets


def test_secrets_are_masked_before_anything_is_cut() -> None:
    secret = "s3cr3t-value-of-the-database"
    key = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqh", "-----END PRIVATE KEY-----"]
    log = LogTail(
        "web", "web", [f"password={secret}", *key, "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "x" * 600 + secret]
    )
    text = render(
        Preview(number=7, state=State.FAILED, note=secret, diagnosis=Diagnosed(message=secret, logs=[log])), [secret]
    )

    for part in (secret, "MIIEvQIBADANBgkqh", "ghp_abcdefghij"):
        assert part not in text
    assert "***" in text


# The limit


@pytest.mark.parametrize("length", [10, 100, 2_000, 30_000])
@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_it_fits_and_says_what_is_missing(length: int, character: str) -> None:
    lines = [character * 40] * length
    items = tuple(Item(Kind.CREATED, line) for line in lines)
    preview = Preview(
        number=7,
        state=State.FAILED,
        run_url=RUN,
        plan=Difference(items, 0),
        findings=lines,
        diagnosis=Diagnosed(message="why", logs=[LogTail("web", "web", lines)]),
    )
    text = render(preview)

    assert len(text.encode()) <= LIMIT
    assert "why" in text
    assert text.count("<details") == text.count("</details>")
    assert len(re.findall(r"(?m)^```", text)) % 2 == 0
    if length == 30_000:
        assert "more lines are not shown here_: [the run has all of it]" in text
    if length == 10:
        assert "not shown" not in text


def test_a_summary_has_more_room() -> None:
    preview = Preview(number=7, state=State.FAILED, findings=["x" * 90] * 2_000)

    assert len(document(preview).render(limit=1_000_000)) > 180_000 > LIMIT > len(render(preview))


def test_it_says_how_many_more_fit_where_the_deploy_has_counted() -> None:
    begun = replace(PREVIEW, state=State.DEPLOYING)
    counted = DeployReport("pr-107", "deployed", capacity=Capacity("reserves 700m CPU; 3 more of this size fit"))

    assert "| capacity | reserves 700m CPU; 3 more of this size fit |" in render(told(begun, counted))
    refused = Capacity("reserves 700m CPU; how many more fit is not known: no", unread="no")
    for uncounted in (
        DeployReport("pr-107", "unchanged"),
        DeployReport("pr-107", "deployed", capacity=refused),
        None,
    ):
        assert "| capacity | reserves 700m CPU, 1664Mi memory in 2 pods |" in render(told(begun, uncounted))
