"""Run command lines one after the other, and report what each has changed; started by test_promises.py.

Arguments: the folder to watch, and a JSON file of command lines by name.
"""

import json
import sys
from pathlib import Path

from lstm2d.cli.own_caches import keep_caches_together
from lstm2d.cli.selftest.inputs import run
from lstm2d.reliability.inputs.snapshot import snapshot


def main(root: Path, lines: dict[str, list[str]]) -> None:
    """Write one JSON line per command: name, exit code, messages, and names of all that has changed."""
    keep_caches_together()
    before = snapshot(root)
    for name, words in lines.items():
        ran = run(words)
        after = snapshot(root)
        changed = sorted(one for one in before.keys() | after.keys() if before.get(one) != after.get(one))
        print(json.dumps({"name": name, "code": ran.code, "err": ran.err, "changed": changed}), flush=True)
        before = after


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
