"""docs/wamp.md from features.toml, what ran, and wamp.md.in.

render.py RESULTS DOCUMENT    writes the document
"""

import json
import pathlib
import sys
import tomllib

from limits import CANNOT, SERIALIZERS, VERSIONS
from reconnect import CLIENTS
from scenarios import SCENARIOS

HERE = pathlib.Path(__file__).parent


def passing(results, scenarios, client, serializer):
    """`yes` where all scenarios passed, `partly` where the library has not all of them, `–` none."""
    hows = {results.get(name, {}).get(client, {}).get(serializer, "missing") for name in scenarios}
    if hows - {"passed", "not in the library"}:
        return "FAILED"
    if "not in the library" not in hows:
        return "yes"
    return "partly" if "passed" in hows else "–"


def cell(results, scenarios, client):
    passes = {one: passing(results, scenarios, client, one) for one in SERIALIZERS[client]}
    hows = set(passes.values())
    if "FAILED" in hows:
        return "FAILED"
    if len(hows) == 1:
        return hows.pop()
    good = [
        one + (" partly" if how == "partly" else "") for one, how in passes.items() if how != "–"
    ]
    return ", ".join(good)


def row(results, feature):
    scenarios = feature.get("scenarios", [])
    cells = [cell(results, scenarios, client) if scenarios else "" for client in SERIALIZERS]
    tried = [one for one in cells if one not in ("", "–")]
    if "FAILED" in tried:
        status = "FAILED"
    elif tried:
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
    clients = " | ".join(SERIALIZERS)
    for section in sections:
        yield f"## {section['title']}\n"
        yield f"| feature | status | {clients} |"
        yield "|---" * (2 + len(SERIALIZERS)) + "|"
        yield from (row(results, feature) for feature in section["features"])
        yield ""


def cannot():
    """What limits.py says, one line for each reason."""
    reasons = {}
    for key, reason in CANNOT.items():
        client, *serializer = key[:-1]
        reasons.setdefault((client, reason), {}).update(dict.fromkeys(serializer))
    for (client, reason), serializers in sorted(reasons.items()):
        yield f"- {' '.join([client, '/'.join(serializers)]).strip()}: {reason}."


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
        "CANNOT": cannot(),
    }
    for name, lines in parts.items():
        template = template.replace(f"@{name}@", "\n".join(lines).rstrip())
    return template


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as ran:
        text = document(json.load(ran))
    pathlib.Path(sys.argv[2]).write_text(text, encoding="utf-8")
