"""What flex attention needs: it is compiled, by the compiler that the machine has."""

import os
import shutil

import pytest


HAS_COMPILER = any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))

compiled = [pytest.mark.slow, pytest.mark.skipif(not HAS_COMPILER, reason="needs a compiler of C++")]
