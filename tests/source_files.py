"""The Python files of the core and of the plugins, for tests that read the source."""

from pathlib import Path

import tfdgm

ROOT = Path(tfdgm.__file__).parents[1]
TEMPLATES = sorted((ROOT / "tfdgm" / "cli" / "templates").glob("*.py"))
CORE = sorted(set((ROOT / "tfdgm").rglob("*.py")) - set(TEMPLATES))
PLUGINS = [*sorted((ROOT / "plugins").rglob("*.py")), *TEMPLATES]


def name(path):
    return str(path.relative_to(ROOT))
