"""Plugin projects in every language, with third-party compilers and packages."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from conftest import HERE, HOOKMILL, TARGET

ROOT = HERE.parent.parent


def run(*command, **options):
    """Runs a command that must succeed. Returns its output and errors together."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def new_project(folder, lang, *arguments):
    """Makes a project whose packages are installed. Returns its folder and the environment for builds."""
    project = folder / "acme"
    run(HOOKMILL, "plugin", "new", project, *(arguments or ["--lang", lang]))
    environment = dict(os.environ)
    if lang == "rust":
        # Use the versions and the compiled library of the bundled mappers.
        (project / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
        environment["CARGO_TARGET_DIR"] = str(TARGET)
    elif lang == "python":
        (project / ".venv").symlink_to(ROOT / "plugins" / "guardduty" / ".venv")
    else:
        # The result of `npm install`, from packages that are installed already.
        modules = project / "node_modules"
        modules.mkdir()
        for package in (ROOT / "plugins" / "okta" / "node_modules").iterdir():
            (modules / package.name).symlink_to(package)
        (modules / "@hookmill").unlink()
        (modules / "@hookmill").mkdir()
        (modules / "@hookmill" / "sdk").symlink_to(project / "sdk")
    return project, environment


def built(project, environment, code):
    """Builds a project with other code. Returns a function that maps a payload with it."""
    source = next(project.glob("mapper.*"))
    source.write_text(code)
    out = project / "out"
    run(HOOKMILL, "plugin", "build", project, "--out-dir", out, env=environment)

    def map_payload(text):
        payload = project / "payload.json"
        payload.write_text(text)
        command = [HOOKMILL, "plugin", "run", out / "acme.wasm", "--payload", payload, "--json"]
        return json.loads(subprocess.run(command, capture_output=True, text=True).stdout)

    return map_payload


@pytest.mark.parametrize("lang", ["rust", "ts", "js", "python", "go"])
def test_a_new_project_maps_its_sample(tmp_path, lang):
    project, environment = new_project(tmp_path, lang)
    said = run(HOOKMILL, "plugin", "test", project, env=environment)
    assert "✓ sample" in said


@pytest.mark.parametrize("lang, vendor", [("rust", "crowdstrike"), ("ts", "okta"), ("python", "guardduty")])
def test_a_project_that_begins_with_a_bundled_mapper_maps_its_payloads(tmp_path, lang, vendor):
    project, environment = new_project(tmp_path, lang, "--vendor", vendor)
    run(HOOKMILL, "plugin", "build", project, "--out-dir", project / "out", env=environment)
    assert (project / "out" / "acme.wasm").is_file()
    said = run(HOOKMILL, "plugin", "test", project, env=environment)
    assert said.count("✓") == len(list((ROOT / "plugins" / vendor / "payloads").glob("*.expected.json")))


def test_plain_javascript_has_the_time_and_the_randomness_of_the_event(tmp_path):
    project, environment = new_project(tmp_path, "js")
    map_payload = built(
        project,
        environment,
        """
import { defineMapper, Incident, readJson } from "@hookmill/sdk";
function untyped(value, options) { const made = {}; made.value = value; return made; }
export const mapper = defineMapper({
  describe() { return { name: "n", version: "1", summary: "s" }; },
  toIncidents(event) {
    const alert = readJson(event, "an alert");
    if (alert.fails) return untyped(null.value);
    if (alert.returns) return { incidents: [{ sourceRef: "a", severity: "High" }] };
    const incident = new Incident(crypto.randomUUID(), new Date().toISOString());
    incident.detail("rest", [Math.random(), performance.now(), new URL("https://a.example/b").hostname, alert.id]);
    return { incidents: [incident] };
  },
});
""",
    )
    before = datetime.now(timezone.utc)
    one, other = (map_payload('{"id": 12345678901234567890}')["incidents"][0] for _ in range(2))
    assert one["source_ref"] != other["source_ref"] and one["details"]["rest"][0] != other["details"]["rest"][0]
    assert one["details"]["rest"][1:] == [0, "a.example", 12345678901234567890]
    assert before <= datetime.fromisoformat(one["title"].replace("Z", "+00:00")) + timedelta(seconds=1)
    failed = map_payload('{"fails": true}')
    assert "mapper.js:8" in failed["log"][0]["message"], failed
    assert "incidents[0].severity" in map_payload('{"returns": true}')["outcome"]["problems"][0]


def test_javascript_without_the_sdk_may_be_asynchronous_and_return_any_text(tmp_path):
    project, environment = new_project(tmp_path, "js")
    map_payload = built(
        project,
        environment,
        """
export const mapper = {
  async describe() { return { name: "n", version: "1", summary: "s" }; },
  toIncidents(event) {
    const value = new TextDecoder().decode(event.body);
    const details = [{ name: "first", value }, { name: "empty", value: "" }, { name: "last", value }];
    const incident = { sourceRef: "a", tags: [], observables: [], techniques: [], details };
    const outcome = { incidents: Array(30).fill(incident), skipped: [], problems: [[...value].slice(0, 9).join("")] };
    if (value.includes("refused")) return Promise.reject({ tag: "malformed", val: value });
    return value.includes("later") ? Promise.resolve(outcome) : outcome;
  },
};
""",
    )
    for text in ["now", "later", "n\u00f6w \U0001f600", "l\u00e4ter later"]:
        for value in [text, f"{text} " * 3000]:
            mapped = map_payload(value)
            assert mapped["outcome"]["problems"] == [value[:9]], mapped
            assert [mapped["incidents"][0]["details"][name] for name in ["first", "empty", "last"]] == [value, "", value]
    assert "n\u00f6t refused" in json.dumps(map_payload("n\u00f6t refused"), ensure_ascii=False)


def test_what_the_engine_of_javascript_lacks_is_refused_with_file_and_line(tmp_path):
    project, environment = new_project(tmp_path, "ts")
    code = (project / "mapper.ts").read_text()
    (project / "mapper.ts").write_text(code.replace("const alert =", "new Intl.DateTimeFormat();\n    const alert ="))
    done = subprocess.run(
        [HOOKMILL, "plugin", "build", project, "--out-dir", tmp_path / "out"], capture_output=True, text=True, env=environment
    )
    assert done.returncode != 0 and "mapper.ts:13: the engine of plugins has no Intl" in done.stderr, done.stderr


def test_python_has_the_packages_of_the_projects_environment(tmp_path):
    project, environment = new_project(tmp_path, "python")
    shared = (project / ".venv").resolve()
    (project / ".venv").unlink()
    run(sys.executable, "-m", "venv", "--without-pip", project / ".venv")
    [packages] = (project / ".venv" / "lib").glob("python*/site-packages")
    [installed] = (shared / "lib").glob("python*/site-packages")
    (packages / "shared.pth").write_text(f"{installed}\n")
    (packages / "acme_words.py").write_text('WORD = "of the project"\n')
    shutil.copy(shared / "bin" / "componentize-py", project / ".venv" / "bin")
    # The first `python3` in PATH has another one.
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "other")
    [others] = (tmp_path / "other" / "lib").glob("python*/site-packages")
    (others / "acme_words.py").write_text('WORD = "of somebody else"\n')
    environment["PATH"] = f"{tmp_path}/other/bin:{environment['PATH']}"
    map_payload = built(
        project,
        environment,
        """
import datetime
import acme_words
import hookmill
from hookmill import Description, Incident, outcome

class Mapper(hookmill.Mapper):
    def describe(self):
        return Description("n", "1", "s", scheme=None)

    def to_incidents(self, event):
        if event.body == b"fails":
            return None + 1
        moment = datetime.datetime.strptime("15/01/2026", "%d/%m/%Y")
        title = " ".join([acme_words.WORD, moment.date().isoformat(), "b\u00fccher".encode("idna").decode()])
        return outcome(Incident("a", title=title))
""",
    )
    assert map_payload("x")["incidents"][0]["title"] == "of the project 2026-01-15 xn--bcher-kva"
    failed = map_payload("fails")
    assert any("TypeError" in line["message"] and "mapper.py:13" in line["message"] for line in failed["log"]), failed

    good = (project / "out" / "acme.wasm").read_bytes()
    for code, said in [("def broken(:\n", "SyntaxError"), ("class Mapper: pass\n", "acme")]:
        (project / "mapper.py").write_text(code)
        command = [HOOKMILL, "plugin", "build", project, "--out-dir", project / "out"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode != 0 and said in done.stderr, done.stderr
        assert (project / "out" / "acme.wasm").read_bytes() == good


def test_go_has_only_its_input_and_the_log(tmp_path):
    project, environment = new_project(tmp_path, "go")
    environment["ACME_SECRET"] = "of the environment"
    map_payload = built(
        project,
        environment,
        """
package main

import (
	"fmt"
	"hookmill"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"time"
)

type acme struct{}

var words [][]string

func init() { hookmill.Export(acme{}) }
func main() {}

func (acme) Describe() hookmill.Description {
	return hookmill.Description{Name: "n", Version: "1", Summary: "s"}
}

func (acme) ToIncidents(event *hookmill.Event) (hookmill.Outcome, error) {
	if string(event.Body) == "fails" {
		var none *hookmill.Incident
		none.Title = "x"
	}
	incident := hookmill.NewIncident(fmt.Sprint(rand.Uint64()), time.Now().UTC().Format(time.RFC3339Nano))
	tried := func(name string, err error) { incident.Detail(name, fmt.Sprint(err)) }
	_, err := os.ReadFile("/etc/hostname")
	tried("read", err)
	_, err = os.ReadDir(".")
	tried("list", err)
	tried("write", os.WriteFile("/tmp/acme", nil, 0o600))
	_, err = net.DialTimeout("tcp", "127.0.0.1:80", time.Second)
	tried("connect", err)
	_, err = net.LookupHost("localhost")
	tried("look up", err)
	tried("start", exec.Command("/bin/true").Run())
	_, err = time.LoadLocation("Europe/Berlin")
	tried("zone", err)
	incident.Detail("environment", fmt.Sprint(os.Environ(), os.Args))
	incident.Detail("moved", fmt.Sprint(time.Since(time.Now()), event.ReceivedAt.Equal(time.Now().Truncate(time.Millisecond))))
	for range event.Body {
		words = append(words, make([]string, 2))
	}
	fmt.Println("written to", "standard output")
	hookmill.Log(hookmill.LevelWarn, "written to the log")
	return hookmill.OutcomeOf(incident), nil
}
""",
    )
    one, other = (map_payload("x") for _ in range(2))
    refs = [result["incidents"][0]["source_ref"] for result in (one, other)]
    assert refs[0] != refs[1]
    details = one["incidents"][0]["details"]
    for name in ("read", "list", "write", "connect", "look up", "start", "zone"):
        assert details[name] not in (None, "<nil>"), details
    assert details["environment"] == "[] []" and details["moved"] == "0s true", details
    lines = [(line["level"], line["message"]) for line in one["log"]]
    assert lines == [("info", "written to standard output"), ("warn", "written to the log")]
    # Memory for a large payload, and much of it during the call.
    large = map_payload("x" * 1_000_000)
    assert large["incidents"][0]["details"]["moved"] == "0s true", large
    failed = map_payload("fails")
    assert any("mapper.go:28" in line["message"] for line in failed["log"]), failed


def test_a_rust_plugin_may_have_more_data_than_the_least_memory(tmp_path):
    project, environment = new_project(tmp_path, "rust")
    source = project / "mapper.rs"
    code = source.read_text().replace(
        "incident.set_title(",
        "static TABLE: [u8; 900_000] = [7; 900_000];\n        assert!(TABLE.get(event.body.len()).is_some());\n        incident.set_title(",
    )
    assert "TABLE" in code
    source.write_text(code)
    assert "✓ sample" in run(HOOKMILL, "plugin", "test", project, env=environment)


def test_a_missing_tool_is_named_with_its_installation(tmp_path):
    for lang, advice in [("ts", "npm install --prefix"), ("python", ".venv/bin/pip install componentize-py==")]:
        project = tmp_path / lang
        run(HOOKMILL, "plugin", "new", project, "--lang", lang)
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        done = subprocess.run([HOOKMILL, "plugin", "build", project], capture_output=True, text=True, env=environment)
        assert done.returncode != 0 and advice in done.stderr, done.stderr


@pytest.mark.parametrize("version", [None, "go1.19.8"])
def test_a_missing_or_old_go_is_named_with_its_installation(tmp_path, version):
    project, environment = new_project(tmp_path, "go")
    programs = tmp_path / "programs"
    programs.mkdir()
    if version:
        (programs / "go").write_text(f"#!/bin/sh\necho {version}\n")
        (programs / "go").chmod(0o755)
    environment["PATH"] = str(programs)
    done = subprocess.run([HOOKMILL, "plugin", "build", project], capture_output=True, text=True, env=environment)
    expected = f"{version} is installed" if version else "https://go.dev/dl or with `apt-get install golang-go`"
    assert done.returncode != 0 and expected in done.stderr, done.stderr


def test_generated_types_of_the_sdks_are_current(tmp_path):
    run(ROOT / "sdk" / "generate", tmp_path)
    for generated in [path for path in tmp_path.rglob("*") if path.is_file()]:
        kept = ROOT / "sdk" / generated.relative_to(tmp_path)
        assert filecmp.cmp(generated, kept, shallow=False), f"{kept} is not current; run sdk/generate"


def test_the_example_in_c_is_a_plugin(tmp_path):
    bindgen = TARGET / "outside" / "bin" / "wit-bindgen"
    run(bindgen, "c", "--world", "mapper-plugin", ROOT / "wit" / "plugin.wit", "--out-dir", tmp_path)
    sources = [ROOT / "wit" / "examples" / "c" / "mapper.c"]
    sources += [tmp_path / "mapper_plugin.c", tmp_path / "mapper_plugin_component_type.o"]
    plugin = tmp_path / "acme.wasm"
    flags = ["--target=wasm32-wasi", "-mexec-model=reactor", "-Os", "-I", tmp_path, "-o", plugin]
    run(sys.executable, "-m", "ziglang", "cc", *flags, *sources, env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(tmp_path)})
    payload = tmp_path / "payload"
    payload.write_text("acme:a-1001")
    said = run(HOOKMILL, "plugin", "run", plugin, "--payload", payload)
    assert "source ref    a-1001" in said and "severity      high" in said
