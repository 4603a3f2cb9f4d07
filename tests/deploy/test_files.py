"""The files in docs/deploy, each by the tool that it is for: systemd, Prometheus, Grafana."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.support.servers import ROOT

FOLDER = ROOT / "docs" / "deploy"
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="RULES NOT CHECKED BY PROMTOOL: apt-get install prometheus"
)


@needs_promtool
def test_the_rules_are_valid():
    subprocess.run(["promtool", "check", "rules", FOLDER / "prometheus-rules.yml"], check=True, timeout=60)


ALERTS = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'up{{job="tidemark", instance="a"}}', values: "1x30"}}
      - {{series: 'up{{job="tidemark", instance="b"}}', values: "1x30"}}
      - {{series: 'up{{job="tidemark", instance="c"}}', values: "1x10 0x20"}}
      - {{series: 'realtime_database_up{{instance="a"}}', values: "1x30"}}
      - {{series: 'realtime_publisher_leads{{instance="a"}}', values: "0x30"}}
      - {{series: 'realtime_outbox_oldest_seconds{{instance="a"}}', values: "0x10 0+60x20"}}
      - {{series: 'realtime_feed_errors_total{{feed="entries"}}', values: "0x10 1x20"}}
    alert_rule_test:
      - {{eval_time: 9m, alertname: TidemarkServersAway}}
      - {{eval_time: 9m, alertname: TidemarkNothingSequenced}}
      - {{eval_time: 9m, alertname: TidemarkFeedFails}}
      - {{eval_time: 30m, alertname: TidemarkDatabaseAway}}
      - eval_time: 14m
        alertname: TidemarkServersAway
        exp_alerts: [{{exp_annotations: {{summary: "only 2 servers answer"}}}}]
      - eval_time: 14m
        alertname: TidemarkFeedFails
        exp_alerts:
          - exp_labels: {{feed: entries}}
            exp_annotations: {{summary: "reads of feed entries fail; the log has the error"}}
      - eval_time: 14m
        alertname: TidemarkNothingSequenced
        exp_alerts:
          - exp_annotations:
              summary: "a change has waited for 180 s: no publisher works, see `tidemark doctor`"
"""


@needs_promtool
def test_alerts_fire_on_the_fault_and_not_before(tmp_path):
    """Also with servers that do not publish, where no process leads."""
    (tmp_path / "tests.yml").write_text(ALERTS.format(rules=FOLDER / "prometheus-rules.yml"))

    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_configuration_of_prometheus_is_valid(tmp_path):
    """With the files that it names."""
    for name in ("prometheus.yml", "prometheus-rules.yml"):
        text = (FOLDER / name).read_text().replace("/etc/prometheus/tidemark-", f"{tmp_path}/prometheus-")
        (tmp_path / name).write_text(text)
    (tmp_path / "prometheus-token").write_text("a token")

    subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], check=True, timeout=60)


needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="UNITS NOT CHECKED: systemd-analyze is not installed"
)


def lost(given: Any, known: Any, path: str = "") -> list[str]:
    """Return what is in a document and not in what its schema has kept of it."""
    if isinstance(given, dict):
        return [one for key in given for one in lost(given[key], (known or {}).get(key), f"{path}/{key}")]
    if isinstance(given, list):
        return [one for n, value in enumerate(given) for one in lost(value, known[n], f"{path}/{n}")]
    return [] if given == known else [path]


def test_the_dashboard_is_of_grafanas_schema():
    """Read into Grafana's own types and written again, nothing is lost or another value."""
    register_default_plugins()
    document = json.loads((FOLDER / "grafana.json").read_text())

    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))

    assert lost(document, kept) == []
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"]) > 5


def test_a_field_that_grafana_does_not_know_would_be_found():
    register_default_plugins()
    document = json.loads((FOLDER / "grafana.json").read_text()) | {"colour": "blue"}

    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))

    assert lost(document, kept) == ["/colour"]


def hardening(unit: Path) -> list[str]:
    """Return the lines of a unit from its signal on: what both processes may do, and how they are restarted."""
    lines = unit.read_text().splitlines()
    return lines[lines.index("KillSignal=SIGTERM") :]


def test_both_units_have_the_same_restrictions():
    assert hardening(FOLDER / "tidemark@.service") == hardening(FOLDER / "tidemark-publish.service")


@pytest.fixture
def units(tmp_path) -> list[Path]:
    """The units as they are once installed, with the drop-in; their programs are ones that every machine has."""
    for name in ("tidemark@.service", "tidemark-publish.service", "uvicorn.conf"):
        text = re.sub(r"/opt/tidemark/current/\.venv/bin/\w+", "/bin/true", (FOLDER / name).read_text())
        (tmp_path / name).write_text(text.replace("/opt/tidemark/current", "/tmp"))
    (tmp_path / "tidemark@.service.d").mkdir()
    (tmp_path / "uvicorn.conf").rename(tmp_path / "tidemark@.service.d" / "uvicorn.conf")
    (tmp_path / "tidemark@8001.service").write_text((tmp_path / "tidemark@.service").read_text())
    return [tmp_path / "tidemark@8001.service", tmp_path / "tidemark-publish.service"]


@needs_systemd
def test_the_units_are_valid(units):
    """systemd accepts every setting in them, and every value."""
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_units_leave_a_process_little_beyond_what_it_needs(units):
    """By systemd's own measure, from 0 to 10; a unit without restrictions has 9.6."""
    for unit in units:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

        assert done.returncode == 0, done.stdout[-200:]


def test_the_command_says_what_to_do_without_the_right_to_read_the_environment(tmp_path):
    """An operator who forgets sudo would otherwise get a line of the shell."""
    script = (FOLDER / "tidemark").read_text().replace("/etc/tidemark", str(tmp_path))

    done = subprocess.run(
        ["sh", "-c", script, "tidemark", "doctor"], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert done.stderr.strip().endswith("cannot be read; run it as root: sudo tidemark doctor")


@pytest.mark.parametrize("name", ["tidemark.env", "users.acl", "roles.sql", "pgbouncer.ini"])
def test_no_file_has_a_secret(name):
    """Each machine makes its own; one in a public file would be the same everywhere."""
    text = (FOLDER / name).read_text()

    assert re.findall(r"(?im)(?:secret_key|token|password) *= *[\w-]{8,}", text) == []


def test_limits_count_clients_and_not_nginx():
    """The input that a server parses, and the files that nginx would keep, are bounded for each client of nginx."""
    environment = (FOLDER / "tidemark.env").read_text().splitlines()
    site = (FOLDER / "nginx.conf").read_text()

    assert "PROXIES=1" in environment
    assert re.findall(r"proxy_set_header X-Forwarded-For (.+?);", site) == ["$remote_addr"]
    assert "proxy_max_temp_file_size 0;" in site
