"""Print requirements of pyproject.toml for pip: `lowest` versions of the core, or those of an extra."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
if sys.argv[1] == "lowest":  # as constraints
    for dependency in project["dependencies"]:
        name, version = re.fullmatch(r"([\w-]+)>=([\w.]+)", dependency).groups()
        print(f"{name}=={version}")
else:
    extra = project["optional-dependencies"][sys.argv[1]]
    print("\n".join(dependency for dependency in extra if not dependency.startswith(project["name"])))
