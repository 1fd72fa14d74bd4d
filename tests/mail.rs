//! Mails: their headers, the host's name, and recipients that the server refuses.

use crate::guest::guest;
use crate::host::Folder;
use crate::outcome::incident;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One session of a client: its commands, and the mail if there was one.
#[derive(Clone, Debug, Default)]
struct Session {
    commands: Vec<String>,
    mail: String,
}

impl Session {
    /// Returns the recipients that the client named.
    fn recipients(&self) -> Vec<&str> {
        let recipients = self.commands.iter().filter_map(|line| line.strip_prefix("RCPT TO:<")?.strip_suffix('>'));
        recipients.collect()
    }
}

/// A recipient and the scripted replies to it.
type Replies = (&'static str, &'static [&'static str]);

/// A mail server that gives each recipient its scripted replies, and 250 afterwards.
#[derive(Clone, Default)]
struct MailServer {
    replies: Arc<Mutex<HashMap<&'static str, Vec<&'static str>>>>,
    sessions: Arc<Mutex<Vec<Session>>>,
}

impl MailServer {
    async fn start(replies: &[Replies]) -> (Self, String) {
        let server = Self::default();
        *server.replies.lock().unwrap() = replies.iter().map(|(to, replies)| (*to, replies.to_vec())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let accepting = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        (server, url)
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let (read, mut write) = stream.split();
        let mut lines = BufReader::new(read).lines();
        let mut session = Session::default();
        write.write_all(b"220 mail.example ESMTP\r\n").await.ok()?;
        while let Ok(Some(line)) = lines.next_line().await {
            session.commands.push(line.clone());
            let reply = match line.split([' ', ':']).next()? {
                "EHLO" => "250 mail.example",
                "RCPT" => self.reply(line.strip_prefix("RCPT TO:<")?.strip_suffix('>')?),
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await.ok()?;
                    while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                        session.mail += &(line + "\n");
                    }
                    self.sessions.lock().unwrap().push(session.clone());
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            write.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
        }
        Some(())
    }

    fn reply(&self, to: &str) -> &'static str {
        let mut replies = self.replies.lock().unwrap();
        let replies = replies.entry(Box::leak(to.to_owned().into_boxed_str())).or_default();
        if replies.is_empty() { "250 ok" } else { replies.remove(0) }
    }
}

fn folder(url: &str, to: &str, more: &str) -> Folder {
    Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}
destinations: {{ mail: {{ type: email, url: \"{url}\", starttls: false, allow_networks: [127.0.0.0/8], from: soc@x.example,
  to: [{to}], retry_schedule: [100ms, 100ms]{more} }} }}
notifications: [{{ name: n, trigger: any, notify: [{{ to: mail }}] }}]\n"
    ))
    .with("returns", &guest("returns"))
}

#[tokio::test]
async fn mails_say_what_they_are() {
    for (keys, hello) in [("", None), (", hello: hookmill.soc.example", Some("EHLO hookmill.soc.example"))] {
        let (server, url) = MailServer::start(&[]).await;
        let folder = folder(&url, "ann@x.example", keys);
        let host = folder.start().await;
        host.post("lab", incident(json!({"source-ref": "a"}))).await;
        assert_eq!(host.settled("/api/deliveries").await[0]["status"], "delivered");
        let session = server.sessions.lock().unwrap()[0].clone();
        for header in
            ["MIME-Version: 1.0\n", "Auto-Submitted: auto-generated\n", "Content-Type: text/plain; charset=utf-8\n"]
        {
            assert!(session.mail.contains(header), "no {header} in {}", session.mail);
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(session.commands[0], hello.map_or(format!("EHLO {}", name.trim()), str::to_owned));
    }
}

/// A refused recipient does not keep a mail from the others, and none of them gets it twice.
#[tokio::test]
async fn a_refused_recipient_does_not_silence_the_others() {
    let (server, url) = MailServer::start(&[
        ("gone@x.example", &["550 no such user"]),
        ("busy@x.example", &["451 later", "451 later"]),
    ])
    .await;
    let folder = folder(&url, "gone@x.example, ann@x.example, busy@x.example, bob@x.example", "");
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    let delivery = host.settled("/api/deliveries").await.remove(0);
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    assert!(delivery["error"].as_str().unwrap().contains("gone@x.example: "), "{delivery}");
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3, "{delivery}");
    let first = attempts[0]["error"].as_str().unwrap();
    assert!(
        first.contains("2 of the recipients") && first.contains("busy@x.example") && first.contains("451"),
        "{first}"
    );
    let sessions = server.sessions.lock().unwrap().clone();
    let mails: Vec<Vec<&str>> = sessions.iter().map(Session::recipients).collect();
    let all = vec!["gone@x.example", "ann@x.example", "busy@x.example", "bob@x.example"];
    assert_eq!(mails, [all, vec!["busy@x.example"]]);
}

/// If the server refuses all recipients, the delivery is dead, or waits if one of them may be accepted later.
#[tokio::test]
async fn recipients_that_are_all_refused_make_a_delivery_fail() {
    let refused: [(&[Replies], &str, usize); 2] = [
        (&[("a@x.example", &["550 no"]), ("b@x.example", &["550 no"])], "dead", 1),
        (&[("a@x.example", &["550 no"]), ("b@x.example", &["450 later"])], "delivered", 2),
    ];
    for (replies, status, attempts) in refused {
        let (server, url) = MailServer::start(replies).await;
        let folder = folder(&url, "a@x.example, b@x.example", "");
        let host = folder.start().await;
        host.post("lab", incident(json!({"source-ref": "a"}))).await;
        let delivery = host.settled("/api/deliveries").await.remove(0);
        assert_eq!((&delivery["status"], delivery["attempts"].as_array().unwrap().len()), (&json!(status), attempts));
        assert_eq!(server.sessions.lock().unwrap().len(), attempts - 1, "{delivery}");
    }
}
