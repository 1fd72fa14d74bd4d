//! The host as a service: reports to the service manager, its sockets, credentials, and the commands that an
//! administrator runs beside it.

use crate::guest::echo;
use crate::host::{Folder, SECRET, signature, unix_s};

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

fn lab() -> Folder {
    Folder::new(&format!("sources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}")).with("echo", &echo("1.0"))
}

/// Sets the configuration of a host with an address of its own.
fn listen_on(folder: &Folder, address: &str) {
    let config = format!("listen: {address}\nsources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}\n");
    fs::write(folder.path("hookmill.yaml"), config).unwrap();
}

/// The service manager hears when the host is ready, that it is alive, when it reads its configuration and when it stops.
#[tokio::test]
async fn the_service_manager_gets_reports() {
    let folder = lab();
    let manager = UnixDatagram::bind(folder.path("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = |wanted: &str| loop {
        let mut buffer = [0; 1024];
        let length = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted}: {error}"));
        let report = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let is_wanted = report.lines().any(|line| line == wanted);
        // Reports of life come at any time.
        assert!(is_wanted || report == "WATCHDOG=1\n" || report.starts_with("STATUS="), "{report} instead of {wanted}");
        if is_wanted {
            return report;
        }
    };
    let mut command = folder.hookmill(&["serve"]);
    command.env("NOTIFY_SOCKET", folder.path("notify")).env("WATCHDOG_USEC", "200000");
    let mut host = folder.start_listening_by(&mut command).await;
    next("READY=1");
    assert_eq!(host.get_open("/readyz").await.0, 200);
    next("WATCHDOG=1");
    host.signal("HUP");
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    host.terminate();
    next("STOPPING=1");
    assert!(host.end().await.success());
}

/// A host whose sockets belong to the service manager refuses no connection while it is restarted.
#[tokio::test]
async fn connections_wait_in_the_sockets_of_the_service_manager() {
    let folder = lab();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    listen_on(&folder, &address.to_string());
    let serve = || {
        // As systemd passes it: descriptor 3, with the id of the process that will be the host.
        let script =
            format!("exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec '{}' serve", env!("CARGO_BIN_EXE_hookmill"));
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(folder.path("")).env_clear();
        command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        command
    };
    let mut first = folder.start_listening_by(&mut serve()).await;
    first.ready().await;
    assert_eq!(first.signed("lab", "one").await.status_word(), "accepted");
    first.terminate();
    assert!(first.end().await.success());

    let mut waiting = TcpStream::connect(address).unwrap();
    let (at, body) = (unix_s().to_string(), "two");
    write!(
        waiting,
        "POST /api/webhooks/lab HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\
         x-webhook-timestamp: {at}\r\nx-webhook-signature: sha256={}\r\n\r\n{body}",
        body.len(),
        signature(at.as_bytes(), body.as_bytes())
    )
    .unwrap();
    let _second = folder.start_listening_by(&mut serve()).await;
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");

    // A socket that is for no address of the configuration is not left alone.
    listen_on(&folder, "127.0.0.1:0");
    drop(_second);
    let output = serve().stderr(Stdio::piped()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains(&address.to_string()), "{errors}");
    assert!(errors.contains("ListenStream="), "{errors}");
}

/// Secrets may be credentials of systemd. No error shows them.
#[tokio::test]
async fn secrets_are_read_from_credentials() {
    let folder =
        Folder::new("sources: { lab: { secret: \"${credential:lab}\", plugin: echo } }").with("echo", &echo("1.0"));
    let refusal = folder.refusal();
    assert!(refusal.contains("no credential lab") && refusal.contains("LoadCredential=lab:PATH"), "{refusal}");
    fs::create_dir(folder.path("credentials")).unwrap();
    fs::write(folder.path("credentials/lab"), format!("{SECRET}\n")).unwrap();
    let mut command = folder.hookmill(&["serve"]);
    let host = folder.start_listening_by(command.env("CREDENTIALS_DIRECTORY", folder.path("credentials"))).await;
    host.ready().await;
    assert_eq!(host.signed("lab", "x").await.status_word(), "accepted");
    drop(host);

    folder.configure("listen: \"${credential:lab}\"");
    let mut command = folder.hookmill(&["config", "check"]);
    let output = command.env("CREDENTIALS_DIRECTORY", folder.path("credentials")).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && !errors.contains(SECRET), "{errors}");
}

/// The exit code says whether the host at the configured address is ready.
#[tokio::test]
async fn a_health_check_asks_the_configured_address() {
    let folder = lab();
    let (success, _, errors) = folder.run(&["healthcheck"]);
    assert!(!success && errors.contains("port 0") && errors.contains("--url"), "{errors}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Programs on the same machine reach 0.0.0.0 at the loopback address.
    listen_on(&folder, &format!("0.0.0.0:{}", free.port()));
    let (success, _, errors) = folder.run(&["healthcheck"]);
    assert!(!success && errors.contains(&format!("no answer from http://{free}")), "{errors}");
    let host = folder.start().await;
    assert_eq!(folder.run(&["healthcheck"]), (true, "ready\n".into(), String::new()));
    let url = host.url.clone();
    drop(host);

    folder.append("limits: { free_disk_mib: 1000000000 }");
    let _host = folder.start_listening().await;
    let (success, _, errors) = folder.run(&["healthcheck", "--url", &url.replace("0.0.0.0", "127.0.0.1")]);
    assert!(!success && errors.contains("is not ready") && errors.contains("MiB are free"), "{errors}");
}

/// `config check` says what `serve` would.
#[test]
fn a_configuration_is_checked_without_serving() {
    let folder = lab();
    let (success, output, errors) = folder.run(&["config", "check"]);
    assert!(success && output.contains("hookmill.yaml is valid"), "{output}{errors}");
    assert!(!folder.path("data").exists());
    for (config, expected) in [
        ("lisen: 127.0.0.1:0", "`lisen`"),
        ("tls: { certificate: none.pem, key: none.key }", "none.pem"),
        ("precompiled_dir: none", "`precompiled_dir`"),
    ] {
        folder.configure(config);
        let (success, _, errors) = folder.run(&["config", "check"]);
        assert!(!success && errors.contains(expected), "{config}: {errors}");
    }
    folder.configure("listen: 0.0.0.0:8080");
    let replaced = fs::read_to_string(folder.path("hookmill.yaml")).unwrap().replace("listen: 127.0.0.1:0\n", "");
    fs::write(folder.path("hookmill.yaml"), replaced).unwrap();
    let (success, output, errors) = folder.run(&["config", "check"]);
    assert!(success && output.contains("warning: `listen` 0.0.0.0:8080"), "{output}{errors}");
}

/// Code that was compiled beforehand is used instead of compiling, unless it was changed or others could change it.
#[tokio::test]
async fn precompiled_plugins_are_not_compiled() {
    let folder = lab();
    folder.append("precompiled_dir: plugins/compiled");
    let (success, output, errors) = folder.run(&["plugin", "precompile", "plugins"]);
    assert!(success && output.contains("compiling plugins/echo.wasm"), "{output}{errors}");
    assert_eq!(folder.run(&["plugin", "precompile", "plugins"]), (true, String::new(), String::new()));
    let compiled = || fs::read_dir(folder.path("data/compiled")).unwrap().count();
    let host = folder.start().await;
    assert_eq!(host.signed("lab", "one").await.status_word(), "accepted");
    assert_eq!(compiled(), 0);
    host.kill();

    let mut entries = fs::read_dir(folder.path("plugins/compiled")).unwrap().map(|entry| entry.unwrap().path());
    let entry = entries.find(|path| !path.ends_with("digests")).unwrap();
    fs::OpenOptions::new().append(true).open(&entry).unwrap().write_all(b"more").unwrap();
    let host = folder.start().await;
    assert_eq!(host.signed("lab", "two").await.status_word(), "accepted");
    host.logs("does not have its digest").await;
    assert_eq!(compiled(), 1);
    host.kill();

    fs::set_permissions(folder.path("plugins/compiled"), Permissions::from_mode(0o777)).unwrap();
    let refusal = folder.refusal();
    assert!(refusal.contains("precompiled_dir") && refusal.contains("mode 777"), "{refusal}");
}

/// `upgrade --check` says what a start of this version would do, and changes nothing.
#[tokio::test]
async fn an_upgrade_is_checked_before_a_start() {
    let folder = lab();
    let check = || folder.run(&["upgrade", "--check"]);
    let (success, output, errors) = check();
    assert!(success && output.contains("the first start makes one"), "{output}{errors}");
    assert!(!folder.path("data").exists());
    let host = folder.start().await;
    host.signed("lab", "one").await;
    // Beside a running host too.
    let (success, output, errors) = check();
    assert!(success && output.contains("nothing to migrate") && output.contains("1 in plugins"), "{output}{errors}");
    assert!(output.contains("can take over this host"), "{output}");
    drop(host);

    let version = |version: i64| {
        let database = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
        database.pragma_update(None, "user_version", version).unwrap();
    };
    version(6);
    let (success, output, errors) = check();
    assert!(success && output.contains("schema 6 to ") && output.contains("1 rows of incidents"), "{output}{errors}");
    version(1_000_000);
    let (success, output, errors) = check();
    assert!(!success && output.contains("use a newer hookmill"), "{output}{errors}");
    fs::remove_dir_all(folder.path("data")).unwrap();

    folder.put("broken", b"\0asm\x01\0\0\0");
    let (success, output, errors) = check();
    assert!(!success && output.contains("broken.wasm") && errors.contains("cannot take over"), "{output}{errors}");
}

/// A package contains a manual page of each command, and completions.
#[test]
fn the_manual_and_completions_are_written() {
    let folder = lab();
    let (success, _, errors) = folder.run(&["manual", "share"]);
    assert!(success, "{errors}");
    for (file, expected) in [
        ("man/hookmill.1", "hookmill\\-serve"),
        ("man/hookmill-serve.1", "\\-\\-config"),
        ("man/hookmill-plugin-precompile.1", "precompiled_dir"),
        ("bash/hookmill.bash", "healthcheck"),
        ("fish/hookmill.fish", "healthcheck"),
        ("zsh/_hookmill", "healthcheck"),
    ] {
        let text = fs::read_to_string(folder.path("share").join(file)).unwrap();
        assert!(text.contains(expected), "{file}: {text}");
    }
    assert!(!folder.path("share/man/hookmill-compile.1").exists());
}
