"""Plugin projects in every language, with third-party compilers and packages."""

import filecmp
import os
import subprocess
import sys

import pytest

from conftest import HERE, HOOKMILL, TARGET

ROOT = HERE.parent.parent


def run(*command, **options):
    """Runs a command that must succeed. Returns its output and errors together."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("lang", ["rust", "ts", "js", "python"])
def test_a_new_project_maps_its_sample(tmp_path, lang):
    project = tmp_path / "acme"
    run(HOOKMILL, "plugin", "new", project, "--lang", lang)
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
    said = run(HOOKMILL, "plugin", "test", project, env=environment)
    assert "✓ sample" in said


def test_a_missing_tool_is_named_with_its_installation(tmp_path):
    for lang, advice in [("ts", "npm install --prefix"), ("python", ".venv/bin/pip install componentize-py==")]:
        project = tmp_path / lang
        run(HOOKMILL, "plugin", "new", project, "--lang", lang)
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        done = subprocess.run([HOOKMILL, "plugin", "build", project], capture_output=True, text=True, env=environment)
        assert done.returncode != 0 and advice in done.stderr, done.stderr


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
