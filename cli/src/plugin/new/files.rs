//! The files of new projects: the templates, which are in the folder of each SDK, and the SDKs, which are copied because
//! they are not published.

/// A file of a new project.
#[derive(Debug)]
pub(super) struct ProjectFile {
    /// The path of the file in the project.
    pub path: &'static str,
    pub text: &'static str,
}

macro_rules! sdk {
    ($from:literal) => {
        include_str!(concat!("../../../../sdk/", $from))
    };
}

/// Lists files: the path in the project, and the path in the folder `sdk`.
macro_rules! files {
    ($($path:literal $file:literal)*) => {
        &[$(ProjectFile { path: $path, text: sdk!($file) }),*]
    };
}

pub(super) const PAYLOADS: &[ProjectFile] = files![
    "payloads/sample.json" "payloads/sample.json"
    "payloads/sample.expected.json" "payloads/sample.expected.json"
    "conformance.json" "payloads/conformance.json"
];

pub(super) const RUST: &[ProjectFile] = files![
    "Cargo.toml" "rust/template/Cargo.toml"
    "mapper.rs" "rust/template/mapper.rs"
    "README.md" "rust/template/README.md"
    ".gitignore" "rust/template/gitignore"
    "sdk/Cargo.toml" "rust/Cargo.toml"
    "sdk/src/allocator.rs" "rust/src/allocator.rs"
    "sdk/src/attack.rs" "rust/src/attack.rs"
    "sdk/src/attack/techniques.txt" "rust/src/attack/techniques.txt"
    "sdk/src/bindings.rs" "rust/src/bindings.rs"
    "sdk/src/bindings/component_types.rs" "rust/src/bindings/component_types.rs"
    "sdk/src/bindings/plugin.rs" "rust/src/bindings/plugin.rs"
    "sdk/src/details.rs" "rust/src/details.rs"
    "sdk/src/digest.rs" "rust/src/digest.rs"
    "sdk/src/document.rs" "rust/src/document.rs"
    "sdk/src/equal.rs" "rust/src/equal.rs"
    "sdk/src/export.rs" "rust/src/export.rs"
    "sdk/src/fault.rs" "rust/src/fault.rs"
    "sdk/src/fields.rs" "rust/src/fields.rs"
    "sdk/src/flat.rs" "rust/src/flat.rs"
    "sdk/src/flat/cursor.rs" "rust/src/flat/cursor.rs"
    "sdk/src/flat/members.rs" "rust/src/flat/members.rs"
    "sdk/src/flat/scan.rs" "rust/src/flat/scan.rs"
    "sdk/src/incident.rs" "rust/src/incident.rs"
    "sdk/src/items.rs" "rust/src/items.rs"
    "sdk/src/key.rs" "rust/src/key.rs"
    "sdk/src/lib.rs" "rust/src/lib.rs"
    "sdk/src/list.rs" "rust/src/list.rs"
    "sdk/src/log.rs" "rust/src/log.rs"
    "sdk/src/mapper.rs" "rust/src/mapper.rs"
    "sdk/src/names.rs" "rust/src/names.rs"
    "sdk/src/notifier.rs" "rust/src/notifier.rs"
    "sdk/src/object.rs" "rust/src/object.rs"
    "sdk/src/one_pass.rs" "rust/src/one_pass.rs"
    "sdk/src/pairs.rs" "rust/src/pairs.rs"
    "sdk/src/panic.rs" "rust/src/panic.rs"
    "sdk/src/part.rs" "rust/src/part.rs"
    "sdk/src/path.rs" "rust/src/path.rs"
    "sdk/src/payload.rs" "rust/src/payload.rs"
    "sdk/src/playbook.rs" "rust/src/playbook.rs"
    "sdk/src/playbook/findings.rs" "rust/src/playbook/findings.rs"
    "sdk/src/present.rs" "rust/src/present.rs"
    "sdk/src/problems.rs" "rust/src/problems.rs"
    "sdk/src/prometheus.rs" "rust/src/prometheus.rs"
    "sdk/src/reading.rs" "rust/src/reading.rs"
    "sdk/src/repair.rs" "rust/src/repair.rs"
    "sdk/src/rest.rs" "rust/src/rest.rs"
    "sdk/src/stix.rs" "rust/src/stix.rs"
    "sdk/src/tables.rs" "rust/src/tables.rs"
    "sdk/src/testing.rs" "rust/src/testing.rs"
    "sdk/src/testing/incident.rs" "rust/src/testing/incident.rs"
    "sdk/src/text.rs" "rust/src/text.rs"
    "sdk/src/time.rs" "rust/src/time.rs"
];

/// Lists the files of a JavaScript or TypeScript project.
macro_rules! javascript {
    ($($path:literal $file:literal)*) => {
        files![
            $($path $file)*
            "sdk/package.json" "js/package.json"
            "sdk/attack.ts" "js/attack.ts"
            "sdk/engine.ts" "js/engine.ts"
            "sdk/errors.ts" "js/errors.ts"
            "sdk/globals.d.ts" "js/globals.d.ts"
            "sdk/incident.ts" "js/incident.ts"
            "sdk/index.ts" "js/index.ts"
            "sdk/json.ts" "js/json.ts"
            "sdk/mapper.ts" "js/mapper.ts"
            "sdk/problems.ts" "js/problems.ts"
            "sdk/returned.ts" "js/returned.ts"
            "sdk/severity.ts" "js/severity.ts"
            "sdk/techniques.txt" "js/techniques.txt"
            "sdk/time.ts" "js/time.ts"
            "sdk/values.ts" "js/values.ts"
            "sdk/types/hookmill-plugin-log.d.ts" "js/types/hookmill-plugin-log.d.ts"
            "sdk/types/hookmill-plugin-mapper.d.ts" "js/types/hookmill-plugin-mapper.d.ts"
            "sdk/types/hookmill-plugin-notifier.d.ts" "js/types/hookmill-plugin-notifier.d.ts"
            "sdk/types/hookmill-plugin-playbook.d.ts" "js/types/hookmill-plugin-playbook.d.ts"
            "sdk/types/hookmill-plugin-types.d.ts" "js/types/hookmill-plugin-types.d.ts"
            "sdk/wit/plugin.wit" "js/wit/plugin.wit"
        ]
    };
}

pub(super) const TYPESCRIPT: &[ProjectFile] = javascript![
    "package.json" "js/template-ts/package.json"
    "tsconfig.json" "js/template-ts/tsconfig.json"
    "mapper.ts" "js/template-ts/mapper.ts"
    "README.md" "js/template-ts/README.md"
    ".gitignore" "js/template-ts/gitignore"
];

pub(super) const JAVASCRIPT: &[ProjectFile] = javascript![
    "package.json" "js/template-js/package.json"
    "tsconfig.json" "js/template-js/tsconfig.json"
    "mapper.js" "js/template-js/mapper.js"
    "README.md" "js/template-js/README.md"
    ".gitignore" "js/template-js/gitignore"
];

pub(super) const PYTHON: &[ProjectFile] = files![
    "pyproject.toml" "python/template/pyproject.toml"
    "requirements.txt" "python/template/requirements.txt"
    "mapper.py" "python/template/mapper.py"
    "README.md" "python/template/README.md"
    ".gitignore" "python/template/gitignore"
    "sdk/hookmill/__init__.py" "python/hookmill/__init__.py"
    "sdk/hookmill/attack.py" "python/hookmill/attack.py"
    "sdk/hookmill/errors.py" "python/hookmill/errors.py"
    "sdk/hookmill/incident.py" "python/hookmill/incident.py"
    "sdk/hookmill/mapper.py" "python/hookmill/mapper.py"
    "sdk/hookmill/problems.py" "python/hookmill/problems.py"
    "sdk/hookmill/reading.py" "python/hookmill/reading.py"
    "sdk/hookmill/returned.py" "python/hookmill/returned.py"
    "sdk/hookmill/severities.py" "python/hookmill/severities.py"
    "sdk/hookmill/snapshot.py" "python/hookmill/snapshot.py"
    "sdk/hookmill/standard_library.py" "python/hookmill/standard_library.py"
    "sdk/hookmill/times.py" "python/hookmill/times.py"
    "sdk/hookmill/values.py" "python/hookmill/values.py"
    "sdk/hookmill/warm_up.py" "python/hookmill/warm_up.py"
    "sdk/hookmill/techniques.txt" "python/hookmill/techniques.txt"
    "sdk/stubs/componentize_py_types.py" "python/stubs/componentize_py_types.py"
    "sdk/stubs/wit_world/__init__.py" "python/stubs/wit_world/__init__.py"
    "sdk/stubs/wit_world/exports/__init__.py" "python/stubs/wit_world/exports/__init__.py"
    "sdk/stubs/wit_world/exports/mapper.py" "python/stubs/wit_world/exports/mapper.py"
    "sdk/stubs/wit_world/exports/notifier.py" "python/stubs/wit_world/exports/notifier.py"
    "sdk/stubs/wit_world/exports/playbook.py" "python/stubs/wit_world/exports/playbook.py"
    "sdk/stubs/wit_world/imports/__init__.py" "python/stubs/wit_world/imports/__init__.py"
    "sdk/stubs/wit_world/imports/log.py" "python/stubs/wit_world/imports/log.py"
    "sdk/stubs/wit_world/imports/types.py" "python/stubs/wit_world/imports/types.py"
    "sdk/wit/plugin.wit" "python/wit/plugin.wit"
];

pub(super) const GO: &[ProjectFile] = files![
    "go.mod" "go/template/go.mod"
    "mapper.go" "go/template/mapper.go"
    "README.md" "go/template/README.md"
    "sdk/go.mod" "go/go.mod"
    "sdk/attack.go" "go/attack.go"
    "sdk/checked.go" "go/checked.go"
    "sdk/details.go" "go/details.go"
    "sdk/digest.go" "go/digest.go"
    "sdk/doc.go" "go/doc.go"
    "sdk/documents.go" "go/documents.go"
    "sdk/encode.go" "go/encode.go"
    "sdk/errors.go" "go/errors.go"
    "sdk/event.go" "go/event.go"
    "sdk/incident.go" "go/incident.go"
    "sdk/log_elsewhere.go" "go/log_elsewhere.go"
    "sdk/mapper.go" "go/mapper.go"
    "sdk/plugin_wasip1.go" "go/plugin_wasip1.go"
    "sdk/problems.go" "go/problems.go"
    "sdk/reader.go" "go/reader.go"
    "sdk/records.go" "go/records.go"
    "sdk/severity.go" "go/severity.go"
    "sdk/times.go" "go/times.go"
    "sdk/value.go" "go/value.go"
    "sdk/techniques.txt" "go/techniques.txt"
    "sdk/internal/bindings/hookmill_plugin_log/empty.s" "go/internal/bindings/hookmill_plugin_log/empty.s"
    "sdk/internal/bindings/hookmill_plugin_log/wit_bindings.go" "go/internal/bindings/hookmill_plugin_log/wit_bindings.go"
    "sdk/internal/bindings/hookmill_plugin_types/empty.s" "go/internal/bindings/hookmill_plugin_types/empty.s"
    "sdk/internal/bindings/hookmill_plugin_types/wit_bindings.go" "go/internal/bindings/hookmill_plugin_types/wit_bindings.go"
    "sdk/internal/bindings/wit_exports/wit_exports.go" "go/internal/bindings/wit_exports/wit_exports.go"
    "sdk/internal/export_hookmill_plugin_mapper/functions.go" "go/internal/export_hookmill_plugin_mapper/functions.go"
    "sdk/internal/wit/runtime/runtime.go" "go/internal/wit/runtime/runtime.go"
    "sdk/internal/wit/types/types.go" "go/internal/wit/types/types.go"
    "sdk/wit/plugin.wit" "go/wit/plugin.wit"
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A file that was added to an SDK and is missing here would be missing in every new project.
    #[test]
    fn every_file_of_the_sdks_is_in_new_projects() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk");
        for (project, folders) in [
            (
                RUST,
                ["rust/src", "rust/src/attack", "rust/src/playbook", "rust/src/bindings", "rust/src/testing"]
                    .as_slice(),
            ),
            (TYPESCRIPT, &["js", "js/types", "js/wit"]),
            (
                PYTHON,
                &["python/hookmill", "python/stubs/wit_world/exports", "python/stubs/wit_world/imports", "python/wit"],
            ),
            (
                GO,
                &[
                    "go",
                    "go/internal/bindings/hookmill_plugin_log",
                    "go/internal/bindings/hookmill_plugin_types",
                    "go/internal/bindings/wit_exports",
                    "go/internal/export_hookmill_plugin_mapper",
                    "go/internal/wit/runtime",
                    "go/internal/wit/types",
                    "go/wit",
                ],
            ),
        ] {
            for folder in folders {
                for file in std::fs::read_dir(sdk.join(folder)).unwrap() {
                    let file = file.unwrap();
                    let inside = Path::new(folder).components().skip(1).collect::<std::path::PathBuf>();
                    let path = Path::new("sdk").join(inside).join(file.file_name());
                    let known = project.iter().any(|known| Path::new(known.path) == path);
                    assert!(known || !is_text(&file.path()), "{} is not in new/files.rs", path.display());
                }
            }
        }
    }

    fn is_text(path: &Path) -> bool {
        let name = path.file_name().unwrap().to_str().unwrap();
        [".rs", ".ts", ".txt", ".py", ".go", ".s", ".mod", ".wit"].iter().any(|ending| name.ends_with(ending))
            && !name.ends_with("_test.go")
    }
}
