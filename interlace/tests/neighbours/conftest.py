"""What is collected depends on what is installed: marginaleffects brings JAX, too much for every test run.

With INTERLACE_REQUIRE_NEIGHBOURS set (`tox -e neighbours`), a package that is missing is a failure.
"""

import importlib.util
import os

collect_ignore = []
if importlib.util.find_spec("marginaleffects") is None and not os.environ.get("INTERLACE_REQUIRE_NEIGHBOURS"):
    collect_ignore.append("test_marginaleffects.py")
