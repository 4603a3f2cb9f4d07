"""Chromium 87, the browser of many television screens: ``python -m tests.browser.webengine ADDRESS WIDTH HEIGHT``.

It is the engine of QtWebEngine 5.15, which the package PyQtWebEngine contains. It opens the page without a window,
evaluates the expression from standard input until it is true, and prints one JSON object: the last value, the messages
of the console, and the browser's version.
"""

import json
import os
import sys

TRY_AGAIN_MS = 200
PATIENCE_MS = 60_000
FLAGS = "--no-sandbox --no-zygote --disable-gpu"


def main() -> None:
    address, width, height = sys.argv[1:]
    os.environ |= {
        "QT_QPA_PLATFORM": "offscreen",
        "QT_QUICK_BACKEND": "software",
        "QTWEBENGINE_CHROMIUM_FLAGS": FLAGS,
    }
    from PyQt5.QtCore import QTimer, QUrl
    from PyQt5.QtWebEngineWidgets import QWebEnginePage, QWebEngineView
    from PyQt5.QtWidgets import QApplication

    console: list[str] = []

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level: int, message: str, line: int, source: str) -> None:
            console.append(f"{message} ({source}:{line})")

    script = sys.stdin.read()
    application = QApplication(sys.argv[:1])
    view = QWebEngineView()
    page = Page(view)
    view.setPage(page)
    view.resize(int(width), int(height))
    view.show()
    value: object = None

    def receive(result: object) -> None:
        nonlocal value
        value = result
        if result:
            application.quit()
        else:
            QTimer.singleShot(TRY_AGAIN_MS, look)

    def look() -> None:
        page.runJavaScript(script, receive)

    page.loadFinished.connect(lambda _: look())
    QTimer.singleShot(PATIENCE_MS, application.quit)
    view.load(QUrl(address))
    application.exec_()
    agent = page.profile().httpUserAgent()
    print(json.dumps({"value": value, "console": console, "agent": agent}), flush=True)
    # Qt crashes where its objects are destroyed in another order than they were made.
    os._exit(0)


if __name__ == "__main__":
    main()
