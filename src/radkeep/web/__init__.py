# SPDX-License-Identifier: Apache-2.0
"""All HTTP; only here Starlette and Jinja2."""
