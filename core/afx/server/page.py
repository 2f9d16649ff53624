"""The page in the browser: one index.html, and assets whose names change with their content.

What is served was built into the package, see ``hatch_build.py``. Only names that were there when the Tower
started are answered; any other is not found, and never index.html in its place.
"""

from __future__ import annotations

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

ASSETS = Path(__file__).with_name("assets")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_BUILD = re.compile(r'<meta name="build" content="(\w+)">')
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

_NOT_BUILT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>afx</title>
</head>
<body>
<h1>afx</h1>
<p>The Tower runs, but it was installed without the page: it was built with <code>AFX_WEB_BUILD=skip</code>.
Install it again without that, or use the command line:</p>
<dl>
<dt><code>afx status</code></dt><dd>every agent and its state</dd>
<dt><code>afx attach AGENT</code></dt><dd>an agent's terminal, here</dd>
<dt><code>afx --help</code></dt><dd>everything else</dd>
</dl>
</body>
</html>
"""


class Page:
    """The page of one Tower, read once at its start: an upgrade of the files does not tear it in two.

    Args:
        assets: Where it was built.

    Attributes:
        build: Which build it is, so that a page that is open can tell that another is served by now; empty
            where there is none.
    """

    def __init__(self, assets: Path = ASSETS) -> None:
        index = assets / "index.html"
        self._index = index.read_text(encoding="utf-8") if index.is_file() else _NOT_BUILT
        named = _BUILD.search(self._index)
        self.build = named[1] if named else ""
        self._files = {path.name: path.read_bytes() for path in assets.glob("*-*.*") if path.suffix in _TYPES}

    async def index(self, _: Request) -> Response:
        """Return the page. It holds nothing secret, and is the same whoever asks."""
        return HTMLResponse(self._index)

    async def asset(self, request: Request) -> Response:
        """Return one of the page's files."""
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            raise HTTPException(404)
        media_type = _TYPES[Path(name).suffix]
        return Response(content, media_type=media_type, headers=_FOR_EVER)
