"""A program whose resources need no provider: what it makes is said by its setting `mode`."""

import time

import pulumi

MODE = pulumi.Config().get("mode") or "plain"


class Part(pulumi.ComponentResource):
    """A component with a value in it, which is another one when the value changes."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__("tiny:index:Part", name)
        options = pulumi.ResourceOptions(parent=self, replace_on_changes=["input"])
        self.kept = pulumi.Stash(f"{name}-value", input=value, opts=options)
        self.register_outputs({"value": self.kept.output})


changed = MODE == "changed"
first = Part("first", "two" if changed else "one")
if not changed:
    Part("second", "one")
pulumi.Stash("note", input=MODE, opts=pulumi.ResourceOptions(protect=MODE == "protected"))
if MODE == "failing":
    raise ValueError("the program says no")
if MODE == "waiting":
    time.sleep(600)
pulumi.export("count", 1 if changed else 2)
pulumi.export("name", "tiny")
pulumi.export("value", first.kept.output)
pulumi.export("token", pulumi.Output.secret("token-of-tiny"))
pulumi.export("login", {"user": "tiny", "password": pulumi.Output.secret("password-of-tiny")})
