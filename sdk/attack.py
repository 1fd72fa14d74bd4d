"""Makes sdk/attack.json: the ids of the tactics and techniques of MITRE ATT&CK by name.

usage: python3 sdk/attack.py BUNDLE... > sdk/attack.json

Each BUNDLE is a STIX file as MITRE publishes them, such as enterprise-attack-18.1.json. If two of them use one name, the
first one decides: give the newest first, Enterprise before Mobile. Names of older versions still resolve if their ids are
in use.

Keys are lower-case letters and digits only, so that vendors' spellings fit: `Spearphishing Link` is `spearphishinglink`.
A sub-technique has the key of its full name, `phishingspearphishinglink`, and of its own name if no other technique has
that name."""

import json
import re
import sys
from collections import Counter

NOTICE = (
    "© 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation. "
    "MITRE ATT&CK and ATT&CK are registered trademarks of The MITRE Corporation."
)
# Vendors' words for tactics in addition to MITRE's names.
TACTIC_ALIASES = {"c2": "TA0011", "commandcontrol": "TA0011", "defenceevasion": "TA0005", "recon": "TA0043"}


def key(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def objects(bundle, kind):
    """Yields the id and the object of everything of a kind that is in use."""
    for entry in bundle["objects"]:
        if entry["type"] == kind and not entry.get("revoked") and not entry.get("x_mitre_deprecated"):
            references = (ref for ref in entry["external_references"] if ref["source_name"].startswith("mitre"))
            yield next(references)["external_id"], entry["name"]


def main(files):
    bundles = [json.load(open(file, encoding="utf-8")) for file in files]
    tactics, techniques = {}, {}
    newest = {found for bundle in bundles for found, _ in objects(bundle, "attack-pattern")}
    for bundle in bundles:
        for found, name in objects(bundle, "x-mitre-tactic"):
            tactics.setdefault(key(name), found)
        names = {found: name for found, name in objects(bundle, "attack-pattern") if found in newest}
        uses = Counter(key(name) for name in names.values())
        known = set(techniques)
        for found, name in sorted(names.items()):
            parent = names.get(found.split(".")[0], "") if "." in found else ""
            if parent:
                techniques.setdefault(key(parent + name), found)
            if (uses[key(name)] == 1 or not parent) and key(name) not in known:
                techniques[key(name)] = found
    for name, found in TACTIC_ALIASES.items():
        tactics.setdefault(name, found)
    tables = {"tactics": dict(sorted(tactics.items())), "techniques": dict(sorted(techniques.items()))}
    json.dump({"notice": NOTICE, **tables}, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
