"""What a browser gets at the Tower's root."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>afx</title>
</head>
<body>
<h1>afx</h1>
<p>The Tower runs. This release has no terminals in the browser yet; use the command line:</p>
<dl>
<dt><code>afx status</code></dt><dd>every agent and its state</dd>
<dt><code>afx attach AGENT</code></dt><dd>an agent's terminal, here</dd>
<dt><code>afx --help</code></dt><dd>everything else</dd>
</dl>
</body>
</html>
"""


async def page(_: Request) -> Response:
    """Return the page."""
    return HTMLResponse(_PAGE)
