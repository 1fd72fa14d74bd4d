//! Triage of phishing incidents: the recipients, whether the mail was delivered and whether a user acted on it.
//!
//! Incidents about other matters get no actions, so that sources with mixed incidents can use this playbook.

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
const CREDENTIALS_ENTERED: [&str; 8] = [
    "credentials entered",
    "entered credentials",
    "credentials submitted",
    "submitted credentials",
    "credentials were submitted",
    "password entered",
    "entered their password",
    "credential compromise*",
];
/// Words in the addresses of mailboxes of high value to attackers.
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
/// Domains of free mail providers, which are not worth blocking or looking up.
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
/// The number of mailboxes from which phishing counts as a campaign.
const CAMPAIGN_RECIPIENTS_MIN: usize = 5;

struct PhishingTriage;

impl Playbook for PhishingTriage {
    fn describe() -> Description {
        hookmill_sdk::description!(
            "Phishing triage",
            "Triages phishing incidents by delivery, recipients and user action"
        )
    }

    fn triage(incident: &StoredIncident) -> Result<Vec<Action>, String> {
        let words = Words::of(incident);
        let by_technique = incident.techniques.iter().any(|technique| technique.id.starts_with("T1566"));
        if !by_technique && !words.any(&PHISHING) {
            return Ok(Vec::new());
        }
        let message = Message::of(incident);
        let result = DeliveryResult::of(&words);
        let mut findings = Findings::new(incident);
        assess(&mut findings, incident, &message, result);
        add_steps(&mut findings, &message, result);
        message.observe(&mut findings);
        Ok(findings.into_actions("phishing", "Phishing"))
    }
}

/// The result of the delivery of the mail, in ascending order of harm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DeliveryResult {
    Stopped,
    Unknown,
    Delivered,
    Clicked,
    CredentialsEntered,
}

impl DeliveryResult {
    /// A click proves delivery, even if other copies were stopped.
    fn of(words: &Words) -> Self {
        if words.any(&CREDENTIALS_ENTERED) {
            Self::CredentialsEntered
        } else if words.any(&CLICKED) && !words.any(&NOT_CLICKED) {
            Self::Clicked
        } else if words.any(&STOPPED) {
            Self::Stopped
        } else if words.any(&DELIVERED) {
            Self::Delivered
        } else {
            Self::Unknown
        }
    }
}

fn assess(findings: &mut Findings, incident: &StoredIncident, message: &Message, result: DeliveryResult) {
    let iocs: Vec<&str> = incident.observables.iter().filter(|known| known.ioc).map(|ioc| ioc.value.as_str()).collect();
    let high_value: Vec<&str> = message.recipients.iter().copied().filter(|address| is_high_value(address)).collect();
    assess_result(findings, result, !iocs.is_empty() || !high_value.is_empty());
    let mut raise = |tag: &str, reason: String| {
        findings.tag(tag);
        match result {
            DeliveryResult::Stopped => findings.reason(reason),
            _ => findings.at_least(Severity::High, reason),
        }
    };
    if !iocs.is_empty() {
        raise("known-ioc", format!("The vendor rates as malicious: {}.", defanged_list(&iocs)));
    }
    if message.recipients.len() >= CAMPAIGN_RECIPIENTS_MIN {
        raise("several-recipients", format!("The mail was sent to {} mailboxes.", message.recipients.len()));
    }
    if !high_value.is_empty() {
        raise("high-value-target", format!("Recipients of high value to attackers: {}.", listed(high_value)));
    }
}

fn assess_result(findings: &mut Findings, result: DeliveryResult, is_aggravated: bool) {
    findings.tag("phishing");
    if result == DeliveryResult::Stopped {
        findings.tag("blocked");
        return findings.reason(
            "The vendor reports that the mail was stopped before or soon after delivery; no finding \
             raises the severity.",
        );
    }
    findings.at_least(Severity::Medium, "The incident is about phishing.");
    let (tag, severity, reason) = match result {
        DeliveryResult::CredentialsEntered => {
            ("credentials-entered", Severity::Critical, "A user entered credentials on the page.")
        }
        DeliveryResult::Clicked => {
            let severity = if is_aggravated { Severity::Critical } else { Severity::High };
            ("clicked", severity, "A user followed the link or opened the attachment.")
        }
        DeliveryResult::Delivered => ("delivered", Severity::High, "The mail was delivered."),
        DeliveryResult::Stopped | DeliveryResult::Unknown => return,
    };
    findings.tag(tag);
    findings.at_least(severity, reason);
}

fn add_steps(findings: &mut Findings, message: &Message, result: DeliveryResult) {
    let recipients = if message.recipients.is_empty() {
        "the recipients (see the mail gateway's log)".to_owned()
    } else {
        listed(message.recipients.iter().copied())
    };
    let is_clicked = result >= DeliveryResult::Clicked;
    if is_clicked {
        findings.step(format!(
            "Reset the passwords and end the sessions of {recipients}; look for new inbox rules, forwarding and MFA \
             devices there."
        ));
    }
    let mail = message.search_terms();
    if result == DeliveryResult::Stopped {
        findings.step(format!("Search all mailboxes for copies {mail} that were not stopped."));
    } else {
        findings.step(format!("Search all mailboxes for mail {mail} and remove it, starting with {recipients}."));
    }
    if !is_clicked && result != DeliveryResult::Stopped {
        findings.step(format!("Ask {recipients} whether they followed a link, opened an attachment or replied."));
    }
    let links = message.links();
    if !links.is_empty() {
        let links = defanged_list(&links);
        findings.step(format!("Block, and search proxy and DNS logs for clients that contacted: {links}."));
    }
    if !message.files.is_empty() {
        let files = listed(message.files.iter().copied());
        findings.step(format!("Search endpoints for the attachment and have it analysed: {files}."));
    }
    if !message.senders.is_empty() {
        findings.step("Block the sender. If the address belongs to a partner, inform them by other means than mail.");
    }
}

/// The mail, from the types and roles of the observables.
struct Message<'a> {
    senders: Vec<&'a str>,
    recipients: Vec<&'a str>,
    /// The domains of external senders, without those of free mail providers.
    sender_domains: Vec<&'a str>,
    subjects: Vec<&'a str>,
    urls: Vec<&'a str>,
    domains: Vec<&'a str>,
    files: Vec<&'a str>,
}

impl<'a> Message<'a> {
    fn of(incident: &'a StoredIncident) -> Self {
        let (mut senders, mut recipients) = (Vec::new(), Vec::new());
        for mail in incident.observables.iter().filter(|known| known.data_type == "mail") {
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

    /// Returns the terms to search for, such as `from ann@corp.example with the subject Invoice`.
    fn search_terms(&self) -> String {
        let mut terms = Vec::new();
        if !self.senders.is_empty() {
            terms.push(format!("from {}", listed(self.senders.iter().copied())));
        }
        if !self.subjects.is_empty() {
            terms.push(format!("with the subject {}", listed(self.subjects.iter().copied())));
        }
        if terms.is_empty() { "of the same kind".to_owned() } else { terms.join(" ") }
    }

    fn links(&self) -> Vec<&'a str> {
        let sender_domains = self.sender_domains.iter().filter(|domain| !self.domains.contains(domain));
        self.urls.iter().chain(&self.domains).chain(sender_domains).copied().collect()
    }

    /// Adds observables to look up: the domains of external senders and the hosts of links.
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

/// Returns addresses and links as a defanged list.
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
