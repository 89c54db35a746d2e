"""The configuration: every complaint says where, in the words of the file or of the environment."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from probestream.cli.common import DEFAULT_CONFIG
from probestream.config import ConfigError, load, load_text
from probestream.config.schema import json_schema, text

ROOT = Path(__file__).parents[3]


def problems(text, **environ):
    with pytest.raises(ConfigError) as caught:
        load_text(text, "my.yaml", environ)
    return [str(p) for p in caught.value.problems]


def test_the_default_is_good_and_watches_what_it_promises():
    """This host, the broker, the gateway, an HTTP and a TCP target, each judged by a rule."""
    config = load(DEFAULT_CONFIG, {})
    assert {t.name: t.kind for t in config.targets} == {
        "this-machine": "host",
        "broker": "kafka",
        "gateway": "http",
        "dashboard": "http",
        "broker-port": "tcp",
    }
    assert {r.name for r in config.rules} >= {"down", "error-rate", "slow", "latency-anomaly", "cpu", "memory", "disk"}
    assert config.gateway.host == "127.0.0.1"
    assert config.kafka.bootstrap is None


def test_the_default_follows_the_ports_of_the_environment():
    """Where a port is overridden, the targets that watch it move with it."""
    config = load(DEFAULT_CONFIG, {"PROBESTREAM__GATEWAY__PORT": "18080", "PROBESTREAM__KAFKA__EMBEDDED_PORT": "19092"})
    watched = {t.name: t for t in config.targets}
    assert watched["gateway"].http.url == "http://127.0.0.1:18080/api/ping"
    assert watched["broker-port"].tcp.address == "127.0.0.1:19092"
    assert config.gateway.port == 18080


def test_the_repository_s_root_shows_the_default():
    """One file: the one at the root is the one that is shipped."""
    assert (ROOT / "probestream.yaml").resolve() == DEFAULT_CONFIG.resolve()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gateway:\n  port: eighty\n", "my.yaml:2:3: gateway.port: Input should be a valid integer"),
        ("targets:\n  - name: a\n    htp: {}\n", "my.yaml:3:5: targets[0].htp: unknown field; did you mean http?"),
        ("targets:\n  - name: a\n", "my.yaml:2:5: targets[0]: needs exactly one of http, tcp"),
        ("a: [1\n", "my.yaml:2:1: not YAML"),
        ("- 1\n", "my.yaml:1:1: the file must be a mapping"),
        ("gateway: {port: 1}\ngateway: {port: 2}\n", "my.yaml:2:1: gateway: given twice"),
        ("route: {receiver: ops}\n", "route names receiver 'ops', which receivers does not define"),
        ("kafka: {prefix: '${NOWHERE}'}\n", "my.yaml:1:9: kafka.prefix: environment variable NOWHERE is not set"),
        ("rules:\n  - {name: r, metric: up, value: 0}\n  - {name: r, metric: up, value: 0}\n", "my.yaml:3:6: rules[1].name: 'r' is already"),
        ("gateway: {token_file: none.txt}\n", "my.yaml:1:11: gateway.token_file: file none.txt cannot be read"),
    ],
)  # fmt: skip
def test_a_problem_names_file_line_column_and_field(text, expected):
    """What is wrong can be found without searching."""
    assert any(expected in p for p in problems(text)), problems(text)


def test_every_problem_is_told_at_once():
    """Nobody has to run the check once for each mistake."""
    assert len(problems("gateway: {port: x}\nkafka: {partitions: 0}\nstorage: {kep: 1d}\n")) == 3


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PROBESTREAM__GATEWAY__PORT": "x"}, "environment variable PROBESTREAM__GATEWAY__PORT: gateway.port: "),
        ({"PROBESTREAM__KAFKA": "3"}, "environment variable PROBESTREAM__KAFKA: kafka: "),
        ({"PROBESTREAM__KAFKA__FOO": "3"}, "environment variable PROBESTREAM__KAFKA__FOO: kafka.foo: unknown field"),
        ({"PROBESTREAM__GATEWAY__PORT__X": "3"}, "environment variable PROBESTREAM__GATEWAY__PORT__X: port is no section"),
    ],
)  # fmt: skip
def test_a_problem_with_an_override_names_the_variable(environ, expected):
    """A line of the file is not blamed for what the environment says."""
    found = problems("gateway:\n  port: 8080\n", **environ)
    assert [p for p in found if p.startswith(expected)], found


def test_overrides_win_and_secrets_stay_hidden():
    """PROBESTREAM_KAFKA and PROBESTREAM__A__B replace what the file says; a secret is in no text form."""
    config = load_text(
        "gateway: {token: '${TOKEN}', port: 1}\nkafka: {bootstrap: 'a:1'}\n",
        "my.yaml",
        {"TOKEN": "hush-hush", "PROBESTREAM__GATEWAY__PORT": "2", "PROBESTREAM_KAFKA": "b:2"},
    )
    assert (config.gateway.port, config.kafka.bootstrap) == (2, "b:2")
    assert config.gateway.token.get_secret_value() == "hush-hush"
    assert "hush" not in repr(config)


def test_a_secret_in_a_wrong_place_is_not_repeated():
    """An error about a value does not print the value."""
    found = problems("gateway: {host: 0.0.0.0, port: '${TOKEN}'}\n", TOKEN="hush-hush")
    assert found
    assert "hush" not in "".join(found)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("probe: {name: x}\nalert: {tick: '${SECRET}'}\n", {"SECRET": "hunter2"}),
        ("alert: {tick: 1}\n", {"PROBESTREAM__ALERT__TICK": "hunter2"}),
        ("route: {receiver: '${SECRET}'}\n", {"SECRET": "hunter2"}),
        ("receivers: [{name: '${SECRET}'}, {name: '${SECRET}'}]\n", {"SECRET": "hunter2"}),
        ("targets: [{name: a, http: {url: 'http://a', conditions: ['${SECRET}']}}]\n", {"SECRET": "hunter2"}),
        ("targets: [{name: a, http: {url: 'http://a', conditions: ['${SECRET}']}}]\n", {"SECRET": "[hunter2] == 1"}),
        ("rules: [{name: r, metric: up, value: 0, match: ['${SECRET}']}]\n", {"SECRET": "hunter2 x"}),
        ("gateway: {token_file: '${SECRET}'}\n", {"SECRET": "hunter2"}),
        ("gateway: {port: 1}\n", {"PROBESTREAM__GATEWAY__TOKEN_FILE": "hunter2"}),
    ],
)  # fmt: skip
def test_no_message_repeats_what_the_environment_gave(text, environ):
    """A secret that was put in a wrong field is not in the log."""
    found = problems(text, **environ)
    assert found
    assert "hunter2" not in "".join(found)


def test_a_message_repeats_what_the_file_says():
    """What stands in the file is shown, and only that which the environment gave is not."""
    assert "'5x' is no duration" in problems("alert: {tick: 5x}\n")[0]
    assert "'…' is no duration" in problems("alert: {tick: '${TICK}'}\n", TICK="5x")[0]


def test_secrets_come_from_files_and_nothing_else_does(tmp_path):
    """Every ``*_file`` beside a secret is read, in lists as well; in labels and headers it is a name like any other."""
    (tmp_path / "secret").write_text("hush-hush\n")
    config = load_text(
        """
kafka: {security: SASL_SSL, sasl_username: a, sasl_password_file: secret}
gateway: {token_file: secret}
storage: {url_file: secret}
targets: [{name: a, labels: {owner_file: secret, url_file: secret}, http: {url: http://a, headers: {token_file: secret}}}]
receivers:
  - name: ops
    slack_configs: [{api_url_file: secret}]
    email_configs: [{to: a@b, from: c@d, smarthost: "e:25", auth_username: f, auth_password_file: secret}]
    webhook_configs: [{url: http://a}, {url_file: secret, secret_file: secret, headers: {url_file: secret}}]
""",
        "my.yaml",
        {},
        base=tmp_path,
    )
    (ops,) = config.receivers
    hook = ops.webhook_configs[1]
    read = [
        config.kafka.sasl_password, config.gateway.token, config.storage.url, ops.slack_configs[0].api_url,
        ops.email_configs[0].auth_password, hook.url, hook.secret,
    ]  # fmt: skip
    assert {s.get_secret_value() for s in read} == {"hush-hush"}
    assert config.targets[0].labels == {"owner_file": "secret", "url_file": "secret"}
    assert config.targets[0].http.headers == {"token_file": "secret"}
    assert {k: v.get_secret_value() for k, v in hook.headers.items()} == {"url_file": "secret"}


@pytest.mark.parametrize(
    "text",
    ["gateway: {host_file: secret}\n", "receivers: [{name: a, webhook_configs: [{url: x, headers_file: secret}]}]\n"],
)
def test_a_file_beside_no_secret_is_an_unknown_field(text):
    """Not every field may come from a file."""
    assert "_file: unknown field" in problems(text)[0]


def test_a_file_that_cannot_have_its_name_is_a_problem_with_the_field():
    """A NUL in the name is told like any other name that leads nowhere."""
    (found,) = problems('gateway:\n  host: 0.0.0.0\n  token_file: "a\\0b"\n')
    assert found.startswith("my.yaml:3:3: gateway.token_file: file a")


@pytest.mark.parametrize(
    "value", ["0123456789", "a: b", "1e5678", "p${HOME}$$w", "'quoted'", "#x", "null", "[", "2024-13-45"]
)
def test_an_override_of_a_text_is_taken_as_it_stands(value):
    """A password is not YAML, and a dollar in it is a dollar."""
    config = load_text(
        "{}",
        environ={
            "PROBESTREAM__KAFKA__SASL_PASSWORD": value, "PROBESTREAM__KAFKA__BOOTSTRAP": value, "PROBESTREAM__PROBE__NAME": value
        },
    )  # fmt: skip
    assert config.kafka.sasl_password.get_secret_value() == config.kafka.bootstrap == config.probe.name == value


def test_an_empty_override_of_what_may_be_absent_is_none():
    """As `PROBESTREAM__GATEWAY__TOKEN=` in a compose file without a token."""
    config = load_text("kafka: {bootstrap: 'a:1'}", environ={"PROBESTREAM__KAFKA__BOOTSTRAP": ""})
    assert config.kafka.bootstrap is None


def test_other_overrides_are_yaml_with_variables():
    """A section may be overridden as a whole."""
    config = load_text("{}", environ={"PROBESTREAM__GATEWAY": "{port: 2, host: '${HOST}'}", "HOST": "127.0.0.2"})
    assert (config.gateway.port, config.gateway.host) == (2, "127.0.0.2")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{n}: &{n} {{<<: [{', '.join([f'*{m}'] * 9)}]}}\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("value", ["2024-13-45", "1" * 5000, "[" * 5000, "{" + BOMB.replace("\n", ", ") + "}"])
def test_an_override_that_cannot_be_read_names_its_variable(value):
    """No traceback, and no value."""
    (found,) = problems("{}", PROBESTREAM__GATEWAY__PORT=value)
    assert found.startswith("environment variable PROBESTREAM__GATEWAY__PORT: gateway.port: ")
    assert value not in found


@pytest.mark.parametrize("text", [BOMB, MERGES, "a: &a [*a, *a]\n", "? [" + "[" * 5 + "]" * 5 + "]\n: 1\n"])
def test_a_file_that_unfolds_without_end_is_refused(text):
    """Nine lines of aliases keep no loader busy."""
    (found,) = problems(text)
    assert "too many nodes, or aliases that unfold into too many" in found or "a key must be a text" in found


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b"rules: []\ntargets:\n  - {name: caf\xc3\xa9, push: {}}\n  - {name: \xe9t\xe9}\n",
            "4:12: is not UTF-8: invalid",
        ),
        (b"rules: []\n# \xc3\xa9\x00\n", "2:4: not YAML: the character U+0000 cannot stand here"),
        (b"\x07", "1:1: not YAML: the character U+0007 cannot stand here"),
    ],
)
def test_a_byte_that_cannot_be_read_has_its_place(tmp_path, content, complaint):
    """Saved by another editor, or cut off by a full disk: the line and the column of the first one."""
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"{path}:{complaint}")


@pytest.mark.parametrize(("field", "most"), [("lateness", 3600), ("future", 60)])
def test_samples_are_taken_no_further_than_panes_reach(field, most):
    """A sample that no pane would hold is not promised to be counted."""
    assert getattr(load_text(f"detect: {{{field}: {most}s}}", environ={}).detect, field) == most
    (found,) = problems(f"detect: {{{field}: {most + 1}s}}")
    assert f"detect.{field}: Input should be less than or equal to {most}" in found


def test_the_published_schema_is_current():
    """docs/probestream.schema.json is what `probestream schema` prints; `make schema` writes it."""
    assert (ROOT / "docs" / "probestream.schema.json").read_text("utf-8") == text()


def test_the_schema_accepts_the_default_and_refuses_a_typo():
    """An editor that uses it agrees with `probestream check`."""
    validator = jsonschema_rs.Draft202012Validator(json_schema())
    data = yaml.safe_load(DEFAULT_CONFIG.read_text("utf-8"))
    assert [e.message for e in validator.iter_errors(data)] == []
    data["gatway"] = {}
    assert [e.message for e in validator.iter_errors(data)]


def test_the_schema_lets_a_secret_come_from_a_file():
    """Wherever a secret is required, its ``_file`` form will do, and not both."""
    validator = jsonschema_rs.Draft202012Validator(json_schema())

    def good(slack):
        return validator.is_valid({"receivers": [{"name": "a", "slack_configs": [slack]}]})

    assert good({"api_url": "${SLACK}"})
    assert good({"api_url_file": "slack.txt"})
    assert not good({})
    assert not good({"api_url": "x", "api_url_file": "y"})


def test_the_schema_is_json_for_any_reader():
    """It names its draft and ends with a line end."""
    assert json.loads(text())["$schema"].endswith("2020-12/schema")
    assert text().endswith("}\n")
