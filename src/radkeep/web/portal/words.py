# SPDX-License-Identifier: Apache-2.0
"""Errors' messages, which begin small and end open, as sentences for a page."""


def sentence(message: str) -> str:
    """Return ``message`` with a capital and a full stop."""
    text = message[:1].upper() + message[1:]
    return text if text.endswith(".") else f"{text}."
