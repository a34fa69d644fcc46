"""Take the README's picture: `python -m tools.screenshot OUT.png` judges a drawn X-ray on the page."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.server import make_server
from export.proof.drawn import draw_xray
from tools.browser import find_chromium, open_page

PORT = 5079


def main() -> int:
    """Serve the default model, show it a drawn X-ray, and save what the page shows."""
    if find_chromium() is None:
        sys.stderr.write("Chromium was not found. On Debian or Ubuntu: apt install chromium\n")
        return 1
    settings = Settings(port=PORT)
    app = create_app(settings, Predictor(settings.bundle_dir, device="cpu"))
    server = make_server(app, settings)
    threading.Thread(target=server.run, daemon=True).start()
    drawn = {
        "name": "drawn.png",
        "mimeType": "image/png",
        "buffer": encode_png(draw_xray(2, fractured=True)),
    }
    with open_page(f"http://localhost:{PORT}/") as page:
        page.set_input_files("#file", drawn)
        page.wait_for_selector("#result:not([hidden])")
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.screenshot(path=Path(sys.argv[1]), full_page=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
