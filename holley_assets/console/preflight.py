"""What a command can find out in a second, before Dagster starts: settings, folders, the port."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from holley_assets.console.errors import ConsoleError
from holley_assets.settings import (
    ComputeSettings,
    ScheduleSettings,
    SettingsError,
    likely_setting,
    load_section,
    load_settings,
    unknown_variables,
)


def require_settings() -> None:
    """Make sure that the settings are allowed, none is misspelled, and the data folder can be written.

    Raises:
        ConsoleError: they are not; one line.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        raise ConsoleError(str(error)) from None
    slips = {name: meant for name in unknown_variables() if (meant := likely_setting(name)) is not None}
    if slips:
        told = ", ".join(f"{name} is no setting, {meant} may be meant" for name, meant in slips.items())
        raise ConsoleError(f"{told}: rename or unset it; holley_assets/settings/README.md lists all settings")
    require_writable("HOLLEY_DATA_DIR", settings.run.data_dir.expanduser().resolve())


def require_definitions() -> None:
    """Make sure that Dagster can load the project: it reads these settings when it does.

    Raises:
        ConsoleError: one of them is wrong; one line.
    """
    try:
        load_section(ComputeSettings)
        load_section(ScheduleSettings)
    except SettingsError as error:
        raise ConsoleError(str(error)) from None


def require_writable(variable: str, folder: Path) -> None:
    """Make sure that files can be made in a folder, which is made if it is not there.

    Raises:
        ConsoleError: they cannot; the message has the system's reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConsoleError(
            f"{variable} is {str(folder)!r}, where nothing can be written ({error.strerror or error}): "
            f"change its owner or free space there, or set {variable} to another folder"
        ) from None


def require_free_port(port: int) -> None:
    """Make sure that nothing listens on a port of this machine.

    Raises:
        ConsoleError: something does.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connection has just been closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConsoleError(
                f"Port {port} cannot be used ({error.strerror or error}): end what listens there, "
                f"or give another one with --port {port + 1 if port < 65535 else port - 1}"
            ) from None
