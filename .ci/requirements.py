"""Print requirements of pyproject.toml for pip.

With `lowest`, the lowest versions of what the package needs, as constraints; with `tools`, what builds and
checks it.
"""

import re
import sys
import tomllib
from pathlib import Path

values = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())
project = values["project"]
if sys.argv[1] == "lowest":
    for dependency in project["dependencies"]:
        name, version = re.fullmatch(r"([\w-]+)>=([\w.]+)", dependency).groups()
        print(f"{name}=={version}")
else:
    found = [*values["build-system"]["requires"], *project["optional-dependencies"]["dev"]]
    print("\n".join(requirement for requirement in found if not requirement.startswith(project["name"])))
