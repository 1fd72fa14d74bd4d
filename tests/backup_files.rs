//! The file of a backup: damage, other versions, full disks and kills.

use crate::backup::{json_of, other_machine, run};
use crate::guest::guest;
use crate::host::{Folder, eventually};
use crate::outcome::incident;
use rusqlite::Connection;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::Permissions;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const BLOCK: usize = 512;

/// Returns a folder with the backup `b.tar` of a host with events and a plugin.
async fn backed_up() -> Folder {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    for reference in 0..20 {
        let text = "x".repeat(5_000);
        host.post("lab", incident(json!({"source-ref": reference.to_string(), "description": text}))).await;
    }
    json_of(&folder, &["backup", "b.tar"]);
    host.kill();
    folder
}

/// Returns the entries of a tar archive with the bytes that they occupy, headers included.
fn entries(archive: &[u8]) -> Vec<(String, Range<usize>)> {
    let (mut entries, mut at, mut start) = (Vec::new(), 0, 0);
    while archive[at] != 0 {
        let octal = std::str::from_utf8(&archive[at + 124..at + 135]).unwrap();
        let size = usize::from_str_radix(octal, 8).unwrap().next_multiple_of(BLOCK);
        let is_name = archive[at + 156] == b'L';
        let name = archive[at..at + 100].split(|byte| *byte == 0).next().unwrap();
        at += BLOCK + size;
        if !is_name {
            entries.push((String::from_utf8(name.to_vec()).unwrap(), start..at));
            start = at;
        }
    }
    entries.push(("end".to_owned(), at..archive.len()));
    entries
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_the_part_is_named() {
    let folder = backed_up().await;
    let whole = std::fs::read(folder.path("b.tar")).unwrap();
    let refused = |bytes: &[u8], name: &str, what: &str| {
        std::fs::write(folder.path("b.tar"), bytes).unwrap();
        let (is_whole, _, errors) = folder.run(&["verify", "b.tar"]);
        // The name of a long entry is cut off in its header.
        assert!(!is_whole && errors.contains(name), "{what} is not found, or not in {name}: {errors}");
    };
    let entries = entries(&whole);
    assert!(entries.len() >= 6, "{entries:?}");
    for (name, range) in &entries {
        // The first and the last bytes, and some between: headers, content, and what fills the last block.
        let step = (range.len() / 7).max(1);
        for at in range.clone().step_by(step).chain([range.start + 130, range.end - 1]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            refused(&damaged, name, &format!("a changed byte at {at}"));
        }
        refused(&whole[..range.start + range.len() / 2], name, "a cut");
    }
    refused(&[&whole[..], b"more"].concat(), "end", "more at the end");
    refused(b"", "manifest.json", "an empty file");

    // A restore checks the same, and leaves nothing behind.
    let (name, range) = &entries[2];
    let mut damaged = whole.clone();
    damaged[range.start + range.len() / 2] ^= 1;
    std::fs::write(folder.path("b.tar"), &damaged).unwrap();
    let other = other_machine(&folder);
    let (restored, _, errors) = run(&other, &["restore", "b.tar"]);
    assert!(!restored && errors.contains(name) && errors.contains("nothing is restored"), "{errors}");
    assert!(!other.path("data").exists());
    // A folder that was there before stays as it was.
    std::fs::create_dir(other.path("data")).unwrap();
    std::fs::set_permissions(other.path("data"), Permissions::from_mode(0o700)).unwrap();
    std::fs::write(other.path("b.tar"), &whole[..range.start + range.len() / 2]).unwrap();
    let (restored, _, errors) = run(&other, &["restore", "b.tar"]);
    let sentence = format!(
        "b.tar is cut off: it has {} of {} bytes and ends in {name}; copy it again",
        range.start + range.len() / 2,
        whole.len()
    );
    assert!(!restored && errors.contains(&sentence) && errors.lines().count() == 1, "{errors}");
    assert_eq!(std::fs::read_dir(other.path("data")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_backup_of_a_newer_version_names_the_version_to_use() {
    let folder = backed_up().await;
    let whole = std::fs::read(folder.path("b.tar")).unwrap();
    let entries = entries(&whole);
    let (manifest, digest) = (entries[0].1.start + BLOCK, entries[1].1.start + BLOCK);
    let size = usize::from_str_radix(std::str::from_utf8(&whole[124..135]).unwrap(), 8).unwrap();
    let text = String::from_utf8(whole[manifest..manifest + size].to_vec()).unwrap();
    let schema = text.lines().find(|line| line.contains("\"schema\"")).unwrap();
    for (from, to) in
        [("\"format\": 1", "\"format\": 2"), (schema, "  \"schema\": 99,"), ("hookmill.db\"", "hookmill.ab\"")]
    {
        let changed = text.replacen(from, to, 1).replacen("0.1.0", "9.1.0", 1);
        assert_eq!(changed.len(), text.len(), "`{from}`");
        let mut newer = whole.clone();
        newer[manifest..manifest + size].copy_from_slice(changed.as_bytes());
        newer[digest..digest + 64].copy_from_slice(hex::encode(Sha256::digest(&changed)).as_bytes());
        std::fs::write(folder.path("b.tar"), newer).unwrap();
        for command in ["verify", "restore"] {
            let (done, _, errors) =
                folder.run(&[command, "b.tar", "--data-dir", "elsewhere"][..if command == "verify" { 2 } else { 4 }]);
            let expected = if from.contains("hookmill.db") { "unknown part" } else { "use hookmill 9.1.0 or newer" };
            assert!(!done && errors.contains(expected), "{command}: {errors}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_leaves_the_older_backup() {
    let folder = backed_up().await;
    let older = std::fs::read(folder.path("b.tar")).unwrap();
    // A file that may not grow is like a full disk, if the signal is ignored. The units are 512 bytes.
    for blocks in [100, older.len() / BLOCK - 4] {
        let program = folder.hookmill(&[]);
        let mut shell = std::process::Command::new("/bin/sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" backup b.tar --passphrase-file passphrase");
        shell.args(["-c", &script]).arg(program.get_program()).current_dir(folder.path("")).env_clear();
        let output = shell.output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && (errors.contains("cannot copy") || errors.contains("cannot write")),
            "{errors}"
        );
        assert!(std::fs::read(folder.path("b.tar")).unwrap() == older, "the older backup is whole");
        assert!(!folder.path(".hookmill-backup").exists(), "nothing is left");
    }
}

#[tokio::test]
async fn a_killed_backup_leaves_the_older_one_and_the_next_one_cleans_up() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    for index in 0..8 {
        host.post("lab", format!("{index} {}", "x".repeat(1_000_000))).await;
    }
    json_of(&folder, &["backup", "b.tar"]);
    let older = std::fs::read(folder.path("b.tar")).unwrap();
    let arguments = ["backup", "b.tar", "--passphrase-file", "passphrase", "--rate-mib", "4"];
    for reached in ["hookmill.db", "backup.tar"] {
        let mut backup = folder.hookmill(&arguments).stdout(Stdio::null()).spawn().unwrap();
        let file = folder.path(".hookmill-backup").join(reached);
        eventually("the backup is under way", async || {
            std::fs::metadata(&file).is_ok_and(|file| file.len() > 2_000_000).then_some(())
        })
        .await;
        // Another one into the same folder would disturb it.
        let (made, _, errors) = run(&folder, &["backup", "c.tar"]);
        assert!(!made && errors.contains("another backup"), "{errors}");
        backup.kill().unwrap();
        backup.wait().unwrap();
        assert!(file.exists() && std::fs::read(folder.path("b.tar")).unwrap() == older);
        // The host goes on.
        assert_eq!(host.post("lab", format!("after {reached}")).await.status, 202);
    }
    json_of(&folder, &["backup", "b.tar"]);
    assert!(!folder.path(".hookmill-backup").exists());
    assert_eq!(json_of(&folder, &["verify", "b.tar"])["manifest"]["rows"]["events"], 10);
}

#[tokio::test]
async fn a_damaged_database_is_not_backed_up_and_its_refusal_says_what_to_do() {
    let folder = backed_up().await;
    let older = std::fs::read(folder.path("b.tar")).unwrap();
    let path = folder.path("data/hookmill.db");
    {
        let disk = Connection::open(&path).unwrap();
        disk.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60_000..90_000].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let (made, _, errors) = run(&folder, &["backup", "b.tar"]);
    assert!(
        !made && errors.contains("hookmill.db") && (errors.contains("malformed") || errors.contains("damaged")),
        "{errors}"
    );
    assert!(std::fs::read(folder.path("b.tar")).unwrap() == older);
    let refusal = folder.refusal();
    for text in ["quick_check", "hookmill restore", "docs/BACKUP.md"] {
        assert!(refusal.contains(text), "{refusal}");
    }
    // As the message says.
    std::fs::rename(folder.path("data"), folder.path("damaged")).unwrap();
    json_of(&folder, &["restore", "b.tar"]);
    let host = folder.start().await;
    assert_eq!(host.list("/api/incidents").await.len(), 20);
}
