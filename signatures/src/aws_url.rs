//! URLs of Amazon SNS, which are safe to fetch.

/// A URL at `https://sns.<region>.amazonaws.com` or `.com.cn`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AwsUrl(String);

impl AwsUrl {
    /// Parses a URL. Only one plain spelling is accepted, because another parser could read a different host in others.
    pub fn new(text: &str) -> Option<Self> {
        let (host, path) = text.strip_prefix("https://")?.split_once('/')?;
        let region = host.strip_prefix("sns.")?;
        let region = region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_region = !region.is_empty() && region.bytes().all(is_allowed);
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#\"<>".contains(&byte));
        (is_region && is_path && text.len() <= 2048).then(|| Self(text.to_owned()))
    }

    /// Parses the URL of a certificate, whose path is `/SimpleNotificationService-<hexadecimal>.pem`.
    pub(crate) fn certificate(text: &str) -> Option<Self> {
        let file = text.rsplit('/').next()?.strip_prefix("SimpleNotificationService-")?.strip_suffix(".pem")?;
        let plain = !file.is_empty() && file.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Self::new(text).filter(|_| plain && text.matches('/').count() == 3)
    }

    /// Returns the AWS region of the host.
    pub fn region(&self) -> &str {
        self.0.split('.').nth(1).unwrap_or_default()
    }

    /// Returns the URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
