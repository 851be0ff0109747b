"""A page as a tree, by the standard library's parser; refuses tags that are not closed or not open."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "img", "br", "hr", "link", "input"}


@dataclass
class Node:
    tag: str
    attributes: dict = field(default_factory=dict)
    children: list = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, white space collapsed."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join("".join(part + " " for part in parts).split())

    def all(self, tag: str | None = None, **attributes: str) -> list["Node"]:
        """Every node below that has this tag and these attributes; a class may be one of several."""
        found = []
        for child in self.children:
            if isinstance(child, Node):
                if (tag is None or child.tag == tag) and all(child.has(k, v) for k, v in attributes.items()):
                    found.append(child)
                found += child.all(tag, **attributes)
        return found

    def one(self, tag: str | None = None, **attributes: str) -> "Node":
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"expected one <{tag} {attributes}>, got {len(found)}"
        return found[0]

    def has(self, name: str, value: str) -> bool:
        own = self.attributes.get(name.rstrip("_"), "") or ""
        return value in own.split() if name == "class_" else own == value


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("document")
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> at {self.getpos()} closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse(page: str) -> Node:
    """The tree of a page; fails if it is not well-formed."""
    builder = _Builder()
    builder.feed(page)
    builder.close()
    assert builder.open == [builder.root], f"never closed: {[node.tag for node in builder.open[1:]]}"
    return builder.root
