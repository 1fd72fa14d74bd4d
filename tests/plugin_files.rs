//! Files in the plugins folder: which are taken, which are refused and why, and what it takes to compile them.

use crate::guest::{component, echo, guest, guest_for, guest_in, module, text, wit};
use crate::host::{ADMIN_TOKEN, Folder, eventually};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

fn folder() -> Folder {
    Folder::new("sources: { lab: { scheme: none, plugin: echo } }")
}

/// An unusable plugin file is reported when it is loaded, with a remedy, and does not affect other plugins.
#[tokio::test]
async fn unusable_plugin_files_are_refused_with_a_reason() {
    let old_shape = wit().replace("    tags: list<string>,\n    /// True if", "    /// True if");
    let newer = wit().replace("plugin@0.1.0", "plugin@0.2.0");
    assert!(old_shape != wit() && newer != wit());
    let mapper = "hookmill:plugin/mapper-plugin";
    let newer = guest_for("echo", &newer, &format!("{mapper}@0.2.0"));
    let other_shape = guest_for("echo", &old_shape, &format!("{mapper}@0.1.0"));
    let half = guest("echo");
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("text", text("echo").into_bytes(), &["text format", "hookmill plugin build"]),
        ("text-component", b"(component)".to_vec(), &["text format"]),
        ("empty-file", Vec::new(), &["not a WebAssembly binary"]),
        ("half", half[..half.len() / 2].to_vec(), &[]),
        ("bare", module("echo"), &["exports nothing", "SDK"]),
        ("silent", guest("silent"), &["to-incidents"]),
        (
            "pre-release",
            guest_for("echo", &wit().replace("plugin@0.1.0", "plugin@0.2.0-rc.1"), &format!("{mapper}@0.2.0-rc.1")),
            &["0.2.0-rc.1", "0.1.0"],
        ),
        ("newer", newer, &["0.2.0", "0.1.0"]),
        ("empty", component(&guest_in("empty", "empty")), &["hookmill:plugin/mapper@0.1.0"]),
        ("other-shape", other_shape, &["`describe`"]),
        ("reaches", guest_in("reaches", "reaching"), &["hookmill:guests/disk"]),
        ("shy", guest("shy"), &["`describe`", "unreachable", "its log ends with: no settings"]),
        // The encoder of components panics on an import of this name.
        (
            "panics",
            wat::parse_str("(module (import \"__main_module__\" \"f\" (func)))").unwrap(),
            &["cannot be converted"],
        ),
    ];
    let folder = Folder::new("sources: { good: { scheme: none, plugin: echo } }")
        .with("echo", &guest("echo"))
        .with("whole", &component(&guest("echo")));
    for (name, bytes, _) in &cases {
        folder.put_old(name, bytes);
    }
    File::create(folder.plugin("huge")).unwrap().set_len(64 * 1024 * 1024 + 1).unwrap();
    fs::write(folder.path("plugins/.hidden.wasm"), b"never looked at").unwrap();
    fs::write(folder.path("plugins/notes.txt"), b"not a plugin").unwrap();
    let host = folder.start().await;
    let plugins = host.list("/api/plugins").await;
    let find = |name: &str| plugins.iter().find(|plugin| plugin["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let refused = cases.iter().map(|(name, _, words)| (*name, *words)).chain([("huge", &["67108864"][..])]);
    for (name, words) in refused {
        let plugin = find(name);
        assert_eq!((&plugin["state"], &plugin["sha256"]), (&json!("refused"), &Value::Null), "{plugin}");
        let error = plugin["error"].as_str().unwrap();
        for word in words {
            assert!(error.contains(word), "{name}: {error}");
        }
        host.logs(&format!("{name}.wasm refused: ")).await;
        assert_eq!(host.metric(&format!("plugin_reloads_total{{plugin=\"{name}\",result=\"refused\"}}")).await, 1.0);
    }
    for name in ["echo", "whole"] {
        let plugin = find(name);
        assert_eq!((&plugin["state"], &plugin["error"]), (&json!("loaded"), &Value::Null), "{plugin}");
        assert_eq!((&plugin["api_version"], &plugin["version"]), (&json!("0.1.0"), &json!("1.0")));
    }
    assert_eq!(plugins.len(), cases.len() + 3);
    assert_eq!(host.post("good", "x").await.status_word(), "accepted");
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

/// A file that is too much for the compiler is refused, harms nothing, and is not compiled again at the next start.
#[tokio::test]
async fn a_file_that_is_too_much_for_the_compiler_is_refused_once() {
    let folder = Folder::new("sources: { good: { scheme: none, plugin: echo } }")
        .with("echo", &guest("echo"))
        .with("hog", &hog());
    let host = folder.start_listening().await;
    host.plugin_when("echo", |plugin| plugin["state"] == "loaded").await;
    assert_eq!(host.post("good", "meanwhile").await.status_word(), "accepted");
    host.ready().await;
    let refusal = |plugin: &Value| plugin["error"].as_str().unwrap_or_default().to_owned();
    let hog = host.plugin_when("hog", |plugin| !plugin["error"].is_null()).await;
    let reason = "compiling the file takes more than 2048 MiB of memory";
    assert_eq!(refusal(&hog), reason);
    drop(host);

    let host = folder.start().await;
    let hog = host.plugin_when("hog", |plugin| !plugin["error"].is_null()).await;
    assert_eq!(
        refusal(&hog),
        format!("{reason}, as an earlier attempt showed; `hookmill plugin promote hog` tries again")
    );
    assert_eq!(host.post("good", "afterwards").await.status_word(), "accepted");
}

/// Returns a component with a module of a single function, whose many variables live through many loops.
fn hog() -> Vec<u8> {
    let leb = |mut number: usize| {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push((number & 0x7f | 0x80) as u8);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let section = |id: u8, content: &[u8]| [&[id][..], &leb(content.len()), content].concat();
    let (variables, loops) = (9_000, 20_000);
    let mut body = [&[1][..], &leb(variables), &[0x7e]].concat();
    (1..variables).for_each(|index| body.extend([&[0x20, 0, 0x21][..], &leb(index)].concat()));
    (0..loops).for_each(|_| body.extend([0x03, 0x40, 0x20, 0, 0xa7, 0x0d, 0, 0x0b]));
    (0..variables).for_each(|index| body.extend([&[0x20][..], &leb(index), &[0x1a]].concat()));
    body.push(0x0b);
    let code = [&[1][..], &leb(body.len()), &body].concat();
    let module = [b"\0asm\x01\0\0\0", &section(1, &[1, 0x60, 0, 0])[..], &section(3, &[1, 0]), &section(10, &code)];
    [&b"\0asm\x0d\0\x01\0"[..], &section(1, &module.concat())].concat()
}

/// Many files that arrive at once are compiled a few at a time, fewer than there are cores.
#[tokio::test]
async fn many_files_are_compiled_a_few_at_a_time() {
    let folder = Folder::new("sources: { good: { scheme: none, plugin: echo } }").with("echo", &guest("echo"));
    let host = folder.start().await;
    for index in 0..24 {
        folder.put(&format!("p{index}"), &guest("echo"));
    }
    let mut most = 0;
    eventually("all are loaded", async || {
        most = most.max(host.children());
        (host.list("/api/plugins").await.len() == 25).then_some(())
    })
    .await;
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!((1..=cores).contains(&most), "{most} compilers at once on {cores} cores");
}

/// A plugin whose `describe` never returns delays readiness only until its deadline.
#[tokio::test]
async fn readiness_waits_for_every_plugin_file() {
    let folder = Folder::new("sources: { good: { scheme: none, plugin: echo } }")
        .with("echo", &guest("echo"))
        .with("slow", &guest("slow"));
    let host = folder.start_listening().await;
    host.plugin_when("echo", |plugin| plugin["state"] == "loaded").await;
    let (status, text) = host.get_open("/readyz").await;
    assert_eq!((status, text.as_str()), (503, r#"{"status":"loading plugins"}"#));
    assert_eq!(host.get_open("/healthz").await.0, 200);
    assert_eq!(host.post("good", "meanwhile").await.status_word(), "accepted");
    host.ready().await;
    let slow = host.plugin_when("slow", |plugin| !plugin["error"].is_null()).await;
    assert!(slow["error"].as_str().unwrap().contains("longer than"), "{slow}");
}

/// A plugin for an older or newer version of the same series loads.
#[tokio::test]
async fn a_plugin_for_a_compatible_interface_version_loads() {
    let wit = wit().replace("plugin@0.1.0", "plugin@0.1.7");
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: echo } }")
        .with("echo", &guest_for("echo", &wit, "hookmill:plugin/mapper-plugin@0.1.7"));
    let host = folder.start().await;
    host.plugin_when("echo", |plugin| plugin["api_version"] == "0.1.7" && plugin["state"] == "loaded").await;
    assert_eq!(host.post("lab", "x").await.status_word(), "accepted");
}

/// An upload that stalls is not a broken plugin. One that never ends is refused once.
#[tokio::test]
async fn an_upload_that_stalls_is_waited_for() {
    let folder = folder();
    let host = folder.start().await;
    let refused = async || host.metric("plugin_reloads_total{plugin=\"echo\",result=\"refused\"}").await;
    let bytes = echo("1.0");
    let mut file = File::create(folder.plugin("echo")).unwrap();
    for piece in bytes.chunks(bytes.len() / 4 + 1) {
        assert!(host.list("/api/plugins").await.is_empty(), "nothing is said about it");
        file.write_all(piece).unwrap();
        // Much longer than the time after which a file counts as settled
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    host.plugin_when("echo", |plugin| plugin["version"] == "1.0").await;
    assert_eq!(refused().await, 0.0);
    assert!(!host.log().contains("refused"), "{}", host.log());

    let next = echo("2.0");
    let mut file = File::create(folder.plugin("echo")).unwrap();
    file.write_all(&next[..next.len() / 2]).unwrap();
    let half = host.plugin_when("echo", |plugin| plugin["error"].is_string()).await;
    assert_eq!((&half["version"], refused().await), (&json!("1.0"), 1.0), "{half}");
    file.write_all(&next[next.len() / 2..next.len() - 1]).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(refused().await, 1.0);
    file.write_all(&next[next.len() - 1..]).unwrap();
    host.plugin_when("echo", |plugin| plugin["version"] == "2.0" && plugin["error"].is_null()).await;
}

/// Entries that look like plugins and are none are named with the reason, until they are gone.
#[tokio::test]
async fn entries_that_are_not_taken_are_named() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = folder().with("echo", &echo("1.0"));
    let path = |name: &str| folder.path("plugins").join(name);
    fs::write(path("upper.WASM"), echo("1.0")).unwrap();
    fs::write(path("my plugin.wasm"), echo("1.0")).unwrap();
    fs::create_dir(path("folder.wasm")).unwrap();
    mknodat(CWD, path("pipe.wasm"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink("nowhere", path("link.wasm")).unwrap();
    let host = folder.start().await;
    let expected = [
        ("upper.WASM", "in lower case"),
        ("my plugin.wasm", "is not a valid name"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("link", "a link to nowhere, which does not exist"),
    ];
    let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
    for (name, words) in expected {
        let plugin = host.plugin_when(name, |plugin| plugin["error"].is_string()).await;
        assert!(plugin["error"].as_str().unwrap().contains(words) && plugin["state"] == "refused", "{plugin}");
        assert!(host.log().contains(words), "{}", host.log());
        let (_, list, _) = folder.run(&[&["plugin", "list"], &connection[..]].concat());
        assert!(list.contains(name), "{list}");
    }
    fs::rename(path("upper.WASM"), path("upper.wasm")).unwrap();
    fs::remove_file(path("link.wasm")).unwrap();
    host.plugin_when("upper", |plugin| plugin["state"] == "loaded").await;
    eventually("what is gone is not named any more", async || {
        let plugins = host.list("/api/plugins").await;
        (plugins.len() == 5 && plugins.iter().all(|plugin| plugin["name"] != "link")).then_some(())
    })
    .await;
}

/// A folder as Kubernetes mounts a ConfigMap: writable by its mode, files as links, replaced by another link.
#[tokio::test]
async fn a_shared_folder_can_be_allowed() {
    let folder = folder();
    let path = |name: &str| folder.path("plugins").join(name);
    for version in ["1.0", "2.0"] {
        fs::create_dir(path(&format!("..{version}"))).unwrap();
        fs::write(path(&format!("..{version}/echo.wasm")), echo(version)).unwrap();
    }
    symlink("..1.0", path("..data")).unwrap();
    symlink("..data/echo.wasm", path("echo.wasm")).unwrap();
    fs::set_permissions(folder.path("plugins"), fs::Permissions::from_mode(0o777)).unwrap();
    let refusal = folder.refusal();
    assert!(refusal.contains("other users can write in"), "{refusal}");
    folder.append("plugins_dir_shared: true");
    let host = folder.start().await;
    host.plugin_when("echo", |plugin| plugin["version"] == "1.0").await;
    symlink("..2.0", path("..next")).unwrap();
    fs::rename(path("..next"), path("..data")).unwrap();
    host.plugin_when("echo", |plugin| plugin["version"] == "2.0").await;
}
