"""The progress bar where nobody has prepared for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import interlace

# A notebook's kernel, as far as tqdm looks, without ipywidgets.
NOTEBOOK = """
import sys, types
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
sys.modules["ipywidgets"] = None
from interlace.parallel import run
print(run(abs, [-1, -2], progress=True))
"""


def test_bar_in_a_notebook_without_widgets_does_not_warn():
    here = Path(interlace.__file__).parents[1]
    # Not "-W error": tqdm would swallow the exception.
    command = [sys.executable, "-W", "always", "-c", NOTEBOOK]
    done = subprocess.run(command, cwd=here, text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "[1, 2]"
    assert "IProgress" not in done.stderr
