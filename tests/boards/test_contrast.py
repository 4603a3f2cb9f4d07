"""Words can be read on what lies behind them: 4.5 to 1 at least (WCAG 2.2, 1.4.3), in light and in dark."""

import re

import pytest

from tests.support.bundle import BOARDS, CLIENT

BADGE = (CLIENT / "live.css").read_text()
BOARD = (BOARDS / "boards.css").read_text()
SENSES = (BOARDS / "senses.css").read_text()
SCHEMES = pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
COLOUR = r"(?:light-dark\(\s*(#\w+)\s*,\s*(#\w+)\s*\)|(#\w{6})|var\((--[\w-]+)\))"
DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{.*?\n\}", re.DOTALL)
"""The block of a style sheet that has the dark colours."""


def colours(css: str, name: str, scheme: int) -> str:
    """Return the last value of a property or custom property in a scheme."""
    values = re.findall(rf"[{{;\s]{name}:\s*{COLOUR}", DARK.sub("", css))
    if scheme == 1:
        values += re.findall(rf"[{{;\s]{name}:\s*{COLOUR}", "".join(DARK.findall(css)))
    light, dark, both, other = values[-1]
    return colours(BOARD, other, scheme) if other else both or (light, dark)[scheme]


def parts(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(colour: list[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(ink: list[float], behind: list[float]) -> float:
    dark, light = sorted([luminance(ink), luminance(behind)])
    return (light + 0.05) / (dark + 0.05)


@SCHEMES
@pytest.mark.parametrize("state", ["live", "wait", "off", "stopped"])
def test_the_badge_can_be_read(state, scheme):
    """Its words lie on 12 % of their own colour, on the surfaces of the demo and of other pages."""
    ink = parts(colours(BADGE, f"--realtime-{state}", scheme))
    surfaces = [colours(BADGE, "--realtime-surface", scheme)]
    surfaces += [colours(BOARD, name, scheme) for name in ("--surface", "--page")]

    for surface in map(parts, surfaces):
        tinted = [0.12 * own + 0.88 * below for own, below in zip(ink, surface, strict=True)]
        assert contrast(ink, tinted) >= 4.5


@SCHEMES
@pytest.mark.parametrize("pill", ["", "-ok", "-info", "-warning", "-critical", "-teal", "-violet", "-pink"])
def test_the_status_can_be_read(pill, scheme):
    """Each status has its own colours."""
    (rule,) = re.findall(rf"^\.status{pill} {{(.*?)}}", BOARD, re.DOTALL | re.MULTILINE)

    ink, behind = (parts(colours(rule, name, scheme)) for name in ("color", "background"))

    assert contrast(ink, behind) >= 4.5


@SCHEMES
@pytest.mark.parametrize("ink", ["--ink", "--muted", "--accent", "--value"])
def test_text_can_be_read(ink, scheme):
    """On the page, on a surface, and on a row that has just changed."""
    behind = ["--page", "--surface"] + (["--realtime-changed"] if ink == "--ink" else [])

    for name in behind:
        found = contrast(parts(colours(BOARD, ink, scheme)), parts(colours(BOARD, name, scheme)))
        assert found >= 4.5, name


@pytest.mark.parametrize("medium", ["print", "(forced-colors: active)", "(prefers-reduced-motion: reduce)"])
def test_what_colours_and_motion_say_is_said_without_them(medium):
    """On paper and in forced colours a status has a frame; without animations a change has a steady mark."""
    (block,) = re.findall(rf"@media {re.escape(medium)} \{{(.*?)\n\}}", SENSES, re.DOTALL)

    if "motion" in medium:
        assert "opacity: 1" in block
    else:
        assert re.findall(r"\.status-(warning|critical),", block) == ["warning", "critical"]
        assert block.count("border-style") == 2
