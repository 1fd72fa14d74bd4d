//! Judges incidents about phishing mail: who got it, whether it arrived, whether somebody fell for it.
//!
//! What is not about phishing is left alone, so that it can be named by a source that sends other things too.

use hookmill_sdk::Description;
use hookmill_sdk::playbook::{Action, Findings, Playbook, Severity, StoredIncident, Words, defang, listed};
use std::net::IpAddr;

const PHISHING: [&str; 9] = [
    "phish*",
    "spearphish*",
    "spear phish*",
    "credential harvest*",
    "business email compromise",
    "bec",
    "spoofed sender",
    "malicious url",
    "malicious email",
];
const STOPPED: [&str; 10] = [
    "blocked",
    "quarantined",
    "not delivered",
    "undelivered",
    "delivery failed",
    "rejected",
    "junked",
    "removed after delivery",
    "zap",
    "zero hour auto purge",
];
const DELIVERED: [&str; 6] =
    ["delivered", "delivered to inbox", "inbox", "delivery succeeded", "post delivery", "reported by user"];
const CLICKED: [&str; 9] = [
    "clicked",
    "url click",
    "link click",
    "click was detected",
    "opened the link",
    "visited the link",
    "opened the attachment",
    "attachment opened",
    "clickthrough",
];
const NOT_CLICKED: [&str; 5] = ["not clicked", "no click*", "nobody clicked", "click blocked", "blocked click"];
const SURRENDERED: [&str; 8] = [
    "credentials entered",
    "entered credentials",
    "credentials submitted",
    "submitted credentials",
    "credentials were submitted",
    "password entered",
    "entered their password",
    "credential compromise*",
];
/// Whose mailboxes attackers want most, as words of an address.
const HIGH_VALUE: [&str; 21] = [
    "admin*",
    "root",
    "it",
    "helpdesk",
    "servicedesk",
    "security",
    "ceo",
    "cfo",
    "cto",
    "cio",
    "ciso",
    "coo",
    "board",
    "director",
    "finance",
    "accounting",
    "accounts",
    "payroll",
    "treasury",
    "hr",
    "legal",
];
/// Everybody's domains: blocking or looking them up leads nowhere.
const FREE_MAIL: [&str; 12] = [
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "msn.com",
    "yahoo.com",
    "icloud.com",
    "aol.com",
    "gmx.net",
    "gmx.de",
    "proton.me",
];
/// From this many mailboxes on it is a campaign.
const SEVERAL: usize = 5;

struct PhishingTriage;

impl Playbook for PhishingTriage {
    fn describe() -> Description {
        hookmill_sdk::description!("Phishing triage", "Judges phishing mail by who got it and who fell for it")
    }

    fn triage(incident: &StoredIncident) -> Result<Vec<Action>, String> {
        let words = Words::of(incident);
        let by_technique = incident.techniques.iter().any(|technique| technique.id.starts_with("T1566"));
        if !by_technique && !words.any(&PHISHING) {
            return Ok(Vec::new());
        }
        let message = Message::of(incident);
        let mut findings = Findings::new(incident);
        judge(&mut findings, incident, &message, &words);
        message.observe(&mut findings);
        Ok(findings.into_actions("phishing", "Phishing"))
    }
}

fn judge(findings: &mut Findings, incident: &StoredIncident, message: &Message, words: &Words) {
    findings.tag("phishing");
    let surrendered = words.any(&SURRENDERED);
    let clicked = surrendered || (words.any(&CLICKED) && !words.any(&NOT_CLICKED));
    // Whoever clicked has got it, whatever was done with other copies.
    let stopped = !clicked && words.any(&STOPPED);
    let delivered = clicked || (!stopped && words.any(&DELIVERED));
    let iocs: Vec<&str> = incident.observables.iter().filter(|seen| seen.ioc).map(|seen| seen.value.as_str()).collect();
    let high_value: Vec<&str> = message.recipients.iter().copied().filter(|address| is_high_value(address)).collect();

    if stopped {
        findings.tag("blocked");
        findings.reason("It is about phishing that was stopped before or soon after it arrived; nothing raises it.");
    } else {
        findings.at_least(Severity::Medium, "It is about phishing.");
    }
    let raise = |findings: &mut Findings, tag: &str, severity: Severity, reason: String| {
        findings.tag(tag);
        if stopped {
            findings.reason(reason);
        } else {
            findings.at_least(severity, reason);
        }
    };
    if surrendered {
        raise(findings, "credentials-entered", Severity::Critical, "Credentials were entered on the page.".into());
    } else if clicked {
        let severity = if iocs.is_empty() && high_value.is_empty() { Severity::High } else { Severity::Critical };
        raise(findings, "clicked", severity, "Somebody followed the link or opened the attachment.".into());
    } else if delivered {
        raise(findings, "delivered", Severity::High, "It was delivered.".into());
    }
    if !iocs.is_empty() {
        let reason = format!("The vendor holds malicious: {}.", defanged_list(&iocs));
        raise(findings, "known-ioc", Severity::High, reason);
    }
    if message.recipients.len() >= SEVERAL {
        let reason = format!("It went to {} mailboxes.", message.recipients.len());
        raise(findings, "several-recipients", Severity::High, reason);
    }
    if !high_value.is_empty() {
        let reason = format!("Among its recipients are accounts that attackers want most: {}.", listed(high_value));
        raise(findings, "high-value-target", Severity::High, reason);
    }
    steps(findings, message, clicked, stopped);
}

fn steps(findings: &mut Findings, message: &Message, clicked: bool, stopped: bool) {
    let recipients = if message.recipients.is_empty() {
        "the recipients, whom the mail gateway's log names".to_owned()
    } else {
        listed(message.recipients.iter().copied())
    };
    if clicked {
        findings.step(format!(
            "Reset the passwords and end the sessions of {recipients}; look for new inbox rules, forwarding and MFA \
             devices there."
        ));
    }
    let mut by = Vec::new();
    if !message.senders.is_empty() {
        by.push(format!("from {}", listed(message.senders.iter().copied())));
    }
    if !message.subjects.is_empty() {
        by.push(format!("with the subject {}", listed(message.subjects.iter().copied())));
    }
    let which = if by.is_empty() { "of the same kind".to_owned() } else { by.join(" ") };
    if stopped {
        findings.step(format!("Search all mailboxes for copies {which} that were not stopped."));
    } else {
        findings
            .step(format!("Search all mailboxes for mail {which} and remove it; it is known to be with {recipients}."));
        if !clicked {
            findings.step(format!("Ask {recipients} whether they clicked, opened or answered."));
        }
    }
    let mut links: Vec<&str> = message.urls.clone();
    links.extend(&message.domains);
    links.extend(message.sender_domains.iter().filter(|domain| !message.domains.contains(domain)));
    if !links.is_empty() {
        let links = defanged_list(&links);
        findings.step(format!("Block {links}, and look in proxy and DNS logs for whoever went there."));
    }
    if !message.files.is_empty() {
        let files = listed(message.files.iter().copied());
        findings.step(format!("Look for the attachment on endpoints and have it analysed: {files}."));
    }
    if !message.senders.is_empty() {
        findings.step("Block the sender; where the address is of a partner, tell them by another way than mail.");
    }
}

/// The parts of the message, by type and role of the observables.
struct Message<'a> {
    senders: Vec<&'a str>,
    recipients: Vec<&'a str>,
    /// Those from outside that are not everybody's.
    sender_domains: Vec<&'a str>,
    subjects: Vec<&'a str>,
    urls: Vec<&'a str>,
    domains: Vec<&'a str>,
    files: Vec<&'a str>,
}

impl<'a> Message<'a> {
    fn of(incident: &'a StoredIncident) -> Self {
        let (mut senders, mut recipients) = (Vec::new(), Vec::new());
        for mail in incident.observables.iter().filter(|seen| seen.data_type == "mail") {
            let role = Words::of_text(mail.message.as_deref().unwrap_or_default());
            if role.any(&["sender*", "from", "p1", "p2", "reply*", "return*"]) {
                senders.push(mail.value.as_str());
            } else {
                recipients.push(mail.value.as_str());
            }
        }
        let values = |types: &[&'static str]| {
            types.iter().flat_map(|data_type| incident.values(data_type)).collect::<Vec<&str>>()
        };
        let own: Vec<&str> = recipients.iter().filter_map(|address| domain_of(address)).collect();
        let mut sender_domains: Vec<&str> = senders.iter().filter_map(|address| domain_of(address)).collect();
        sender_domains.retain(|domain| !own.contains(domain) && !FREE_MAIL.contains(domain));
        Self {
            senders,
            recipients,
            sender_domains,
            subjects: values(&["mail-subject"]),
            urls: values(&["url"]),
            domains: values(&["domain", "fqdn"]),
            files: values(&["filename", "hash"]),
        }
    }

    /// Adds what can be looked up: the domains of senders from outside and the hosts of links.
    fn observe(&self, findings: &mut Findings) {
        for domain in &self.sender_domains {
            findings.observe("domain", domain, "domain of the sender");
        }
        for host in self.urls.iter().filter_map(|url| host_of(url)) {
            let kind = if host.parse::<IpAddr>().is_ok() { "ip" } else { "domain" };
            findings.observe(kind, host, "host of a link");
        }
    }
}

fn is_high_value(address: &str) -> bool {
    Words::of_text(address.split('@').next().unwrap_or_default()).any(&HIGH_VALUE)
}

fn domain_of(address: &str) -> Option<&str> {
    let (_, domain) = address.rsplit_once('@')?;
    let domain = domain.trim_end_matches('>');
    (domain.contains('.') && !domain.contains(char::is_whitespace)).then_some(domain)
}

fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?;
    (!host.is_empty()).then_some(host)
}

/// Addresses and links that nobody opens by mistake.
fn defanged_list(values: &[&str]) -> String {
    let safe: Vec<String> = values.iter().map(|value| defang(value)).collect();
    listed(safe.iter().map(String::as_str))
}

hookmill_sdk::export_playbook!(PhishingTriage);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn incidents_are_judged_as_expected() {
        testing::check_playbook::<super::PhishingTriage>("incidents");
    }
}
