"""docs/wamp.md from features.toml, what ran, and wamp.md.in.

render.py RESULTS DOCUMENT    writes the document
"""

import json
import pathlib
import sys
import tomllib

from limits import SERIALIZERS, VERSIONS
from reconnect import CLIENTS
from scenarios import SCENARIOS

HERE = pathlib.Path(__file__).parent


class Notes:
    """Why not, by numbers: the reasons that the trial gave."""

    def __init__(self):
        self.numbers = {}

    def of(self, reasons):
        """Their numbers, as they stand in a cell."""
        numbers = [self.numbers.setdefault(why, len(self.numbers) + 1) for why in reasons]
        return f" ({', '.join(map(str, sorted(numbers)))})" if numbers else ""

    def lines(self):
        for why, number in self.numbers.items():
            yield f"{number}. {why}"


def passing(results, scenarios, client, serializer):
    """`yes` where all scenarios passed, `partly` where the library has not all of them, `no` none; and
    why the others did not."""
    tried = [results.get(name, {}).get(client, {}).get(serializer) for name in scenarios]
    hows = {one["how"] if one else "missing" for one in tried}
    if hows - {"passed", "not in the library"}:
        return "FAILED", ()
    reasons = tuple(dict.fromkeys(one["why"] for one in tried if one["why"]))
    if "not in the library" not in hows:
        return "yes", ()
    return ("partly" if "passed" in hows else "no"), reasons


def cell(results, scenarios, client, notes):
    """What all serializers have, or each with its own."""
    groups = {}
    for serializer in SERIALIZERS[client]:
        groups.setdefault(passing(results, scenarios, client, serializer), []).append(serializer)
    if any(how == "FAILED" for how, _ in groups):
        return "FAILED"
    said = {how + notes.of(reasons): of for (how, reasons), of in groups.items()}
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(of)}: {how}" for how, of in said.items())


def row(results, feature, notes):
    scenarios = feature.get("scenarios", [])
    cells = [cell(results, scenarios, one, notes) if scenarios else "" for one in SERIALIZERS]
    if "FAILED" in cells:
        status = "FAILED"
    elif any("yes" in one or "partly" in one for one in cells):
        status = "yes"
    else:
        # Nobody could try: the list must say what it rests on.
        status = feature["status"]
    name = feature["name"] + (f" ({feature['note']})" if "note" in feature else "")
    return f"| {' | '.join([name, status, *cells])} |"


def tables(results):
    with open(HERE / "features.toml", "rb") as file:
        sections = tomllib.load(file)["section"]
    listed = {name for s in sections for f in s["features"] for name in f.get("scenarios", [])}
    assert listed == set(SCENARIOS), (
        f"features.toml and scenarios differ: {listed ^ set(SCENARIOS)}"
    )
    clients = " | ".join(f"{one} ({', '.join(of)})" for one, of in SERIALIZERS.items())
    for section in sections:
        notes = Notes()
        yield f"## {section['title']}\n"
        yield f"| feature | status | {clients} |"
        yield "|---" * (2 + len(SERIALIZERS)) + "|"
        yield from (row(results, feature, notes) for feature in section["features"])
        yield ""
        if notes.numbers:
            yield from notes.lines()
            yield ""


def reconnections(fared):
    """What clients did that reconnect by themselves."""
    yield f"| what happens | {' | '.join(CLIENTS)} |"
    yield "|---" * (1 + len(CLIENTS)) + "|"
    for what, by_client in fared.items():
        yield f"| {' | '.join([what, *(by_client[client] for client in CLIENTS)])} |"


def document(results):
    template = (HERE / "wamp.md.in").read_text(encoding="utf-8")
    versions = [
        f"| {client} | {VERSIONS[client]} | {', '.join(serializers)} |"
        for client, serializers in SERIALIZERS.items()
    ]
    parts = {
        "CLIENTS": versions,
        "TABLES": tables(results),
        "RECONNECT": reconnections(results["reconnect"]),
    }
    for name, lines in parts.items():
        template = template.replace(f"@{name}@", "\n".join(lines).rstrip())
    return template


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as ran:
        text = document(json.load(ran))
    pathlib.Path(sys.argv[2]).write_text(text, encoding="utf-8")
