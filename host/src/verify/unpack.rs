//! Unpacks compressed bodies, after the signature over the compressed bytes was verified.

use super::refusal::Refusal;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::bufread::GzDecoder;
use std::io::Read;

/// Returns the body before compression, and removes the headers that describe the compressed body.
///
/// # Errors
/// Returns an error if the body is compressed in another way than gzip, damaged, or larger than `bytes_max`.
pub async fn unpack(headers: &mut HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, Refusal> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| value.as_bytes().trim_ascii());
    let mut encodings = encodings.filter(|encoding| !encoding.eq_ignore_ascii_case(b"identity"));
    match (encodings.next(), encodings.next()) {
        (None, _) => return Ok(body),
        (Some(encoding), None) if [&b"gzip"[..], b"x-gzip"].iter().any(|name| encoding.eq_ignore_ascii_case(name)) => {}
        _ => return Err(Refusal::Undecodable("the Content-Encoding is not one of: gzip, identity".into())),
    }
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    // Each MiB takes about a millisecond, for which other tasks must not wait.
    let unpacked = tokio::task::spawn_blocking(move || gunzip(&body, bytes_max)).await;
    unpacked.map_err(|error| Refusal::Internal(error.into()))?
}

fn gunzip(packed: &[u8], bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut decoder = GzDecoder::new(packed);
    let mut unpacked = Vec::new();
    let limit = bytes_max as u64 + 1;
    let read = decoder.by_ref().take(limit).read_to_end(&mut unpacked);
    if unpacked.len() > bytes_max {
        return Err(Refusal::TooLarge { bytes_max });
    }
    let broken = |what: &str| Refusal::Undecodable(format!("the body is not gzip as its headers say: {what}"));
    read.map_err(|_| broken("the body cannot be unpacked"))?;
    if !decoder.into_inner().is_empty() {
        return Err(broken("something follows its end"));
    }
    Ok(unpacked.into())
}

#[cfg(test)]
mod tests {
    use super::{Refusal, gunzip};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn whole_and_within_bounds() {
        let (whole, bomb) = (gzip(b"payload"), gzip(&vec![0; 1 << 20]));
        let mut damaged = whole.clone();
        damaged[12] ^= 1;
        for (name, packed, expected) in [
            ("whole", &whole[..], Ok(&b"payload"[..])),
            ("as large as allowed", &gzip(&[b'x'; 100]), Ok(&[b'x'; 100][..])),
            ("larger", &gzip(&[b'x'; 101]), Err("too large")),
            ("a bomb", &bomb, Err("too large")),
            ("cut off", &whole[..whole.len() - 1], Err("undecodable")),
            ("damaged", &damaged, Err("undecodable")),
            ("something after it", &[&whole[..], b"x"].concat(), Err("undecodable")),
            ("twice", &[&whole[..], &whole].concat(), Err("undecodable")),
            ("nothing", b"", Err("undecodable")),
            ("no gzip", b"payload", Err("undecodable")),
        ] {
            let unpacked = gunzip(packed, 100);
            let kind = |refusal: &Refusal| match refusal {
                Refusal::TooLarge { .. } => "too large",
                Refusal::Undecodable(_) => "undecodable",
                _ => "another",
            };
            assert_eq!(unpacked.as_deref().map_err(kind), expected, "{name}");
        }
    }
}
