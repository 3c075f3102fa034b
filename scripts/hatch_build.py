"""Builds the screens before they are packed into the wheel."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))
import screens


class CustomBuildHook(BuildHookInterface[Any]):
    """Runs when a wheel or a source archive is built, and not for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the screens unless the installation points at this very folder."""
        if version != "editable":
            screens.build()
