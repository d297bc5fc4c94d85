"""Plans of unions.

Scalars of msgpack tell themselves apart, everything else is tagged with its member's name.
"""

from typing import Any

from shadows.codec.plans import Mismatch, Plan


class UnionPlan(Plan):
    """One of several plans.

    A union that has a single member beside None and msgpack's scalars needs no tag: adding `| None` to a
    parameter leaves the payloads that are already stored readable.
    """

    def __init__(self, members: list[Plan]) -> None:
        self.members = members
        self.name = " | ".join(member.name for member in members)
        self.plain = frozenset().union(*(member.plain for member in members))
        self.scalar = all(member.scalar for member in members)
        structured = [member for member in members if not member.plain]
        self.tags: dict[str, Plan] = {}
        if len(structured) > 1 or (structured and structured[0].scalar and self.plain - {type(None)}):
            self.scalar = False
            for member in structured:
                self.tags[self._free_tag(member.tag)] = member
        self.tag_of = {id(member): tag for tag, member in self.tags.items()}

    def _free_tag(self, name: str) -> str:
        return name if name not in self.tags else f"{name}#{len(self.tags)}"

    def dump(self, value: Any) -> Any:
        if type(value) in self.plain:
            return value
        deepest: Mismatch | None = None
        for member in self.members:
            try:
                wire = member.dump(value)
            except Mismatch as mismatch:
                if deepest is None or (mismatch.path, mismatch.changed) > (deepest.path, deepest.changed):
                    deepest = mismatch
                continue
            tag = self.tag_of.get(id(member))
            return wire if tag is None else [tag, wire]
        # The mismatch deep inside one member says more than that the whole value fits no member.
        if deepest is not None and (deepest.path or deepest.changed):
            raise deepest
        raise Mismatch(value, self.name)

    def load(self, wire: Any) -> Any:
        if type(wire) in self.plain:
            return wire
        if type(wire) is list and len(wire) == 2 and type(wire[0]) is str and wire[0] in self.tags:
            return self.tags[wire[0]].load(wire[1])
        # Untagged: a payload from before the union, or from a caller that knew only the task's name.
        for member in self.members:
            try:
                return member.load(wire)
            except Mismatch:
                continue
        raise Mismatch(wire, self.name)
