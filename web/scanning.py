"""Has every upload looked at by a command of the operator's, such as a virus scanner's. Knows no scanner by name."""

from __future__ import annotations

import logging
import shlex
import shutil
import subprocess

from flask import Flask, current_app

from derm_core import ConfigError, InvalidImageError
from web.batch_uploads import waiting_uploads
from web.models import new_key

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 60
_LOGGED_CHARACTERS = 200


def init_scanning(app: Flask) -> None:
    """Takes the command from DERM_SCAN_COMMAND; raises ConfigError where there is no such program."""
    try:
        command = shlex.split(app.config["DERM_SCAN_COMMAND"] or "")
    except ValueError as err:
        raise ConfigError(f"DERM_SCAN_COMMAND cannot be read as a command: {err}.") from err
    if command and shutil.which(command[0]) is None:
        raise ConfigError(
            f"DERM_SCAN_COMMAND names {command[0]!r}, which is no program on this machine. Install it, or give a path."
        )
    app.extensions["scan_command"] = command


def scan_upload(data: bytes) -> None:
    """Runs the command, where there is one, with the path of a file that holds the upload.

    Raises InvalidImageError with a sentence for the user where it ends with another status than 0, or not in time.
    """
    command = current_app.extensions["scan_command"] if current_app else []
    if not command:
        return
    # Among the files that wait, so that what a killed server leaves of it is swept away with them.
    key = new_key()
    waiting_uploads().save(key, [data])
    try:
        done = subprocess.run(
            [*command, str(waiting_uploads().root / key)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        log.error("The scan command failed: %s", err)
        raise InvalidImageError(
            "The server could not have this file scanned for viruses, so it was not taken. Try again later."
        ) from err
    finally:
        waiting_uploads().delete([key])
    if done.returncode:
        said = done.stdout[-_LOGGED_CHARACTERS:].decode("utf-8", "replace")
        log.warning("The scan command refused an upload with status %d: %s", done.returncode, said)
        raise InvalidImageError(
            "The virus scanner of this server refuses this file. Copy it again from the camera, and send that."
        )
