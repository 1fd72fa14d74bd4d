//! Schemes in which the sender puts the secret into its JSON body. The host removes the secret before anything is stored.

use crate::declaration::{DeclarationError, Keys};
use crate::headers::{delivery_id, header_value};
use crate::json_member::JsonMember;
use crate::request::{Identity, Request, SignError, SignatureError, Signed, Verification, VerifyError};
use crate::revealed::RevealedSecrets;
use crate::secret::{Secret, SharedSecrets};
use http::HeaderName;
use serde_json::{Map, Value};

pub(crate) struct BodySecret {
    pub secrets: SharedSecrets,
    path: Vec<String>,
    id_header: Option<HeaderName>,
}

impl BodySecret {
    pub fn new(keys: &Keys, secrets: &[Secret]) -> Result<Self, DeclarationError> {
        let pointer = keys.text("pointer")?.ok_or_else(|| {
            DeclarationError::new(
                "the scheme needs a `pointer`, the JSON pointer of the secret in the body, such as /auth/token",
            )
        })?;
        let path = path(pointer).ok_or_else(|| {
            DeclarationError::new(format!(
                "`pointer`: `{pointer}` is not the JSON pointer of a member; expected one such as /token or /auth/token"
            ))
        })?;
        Ok(Self { secrets: SharedSecrets::new(secrets), path, id_header: keys.header("id_header")? })
    }

    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let member = JsonMember::find(request.body, &self.path);
        let given = member.and_then(|member| member.text()).ok_or(SignatureError::BodyForm)?;
        let secret = self.secrets.find(given.as_bytes(), request.now_ms)?;
        let id = match &self.id_header {
            Some(name) => delivery_id(request.headers, name)?,
            None => None,
        };
        Ok(Verification { identity: id.map_or(Identity::Body, Identity::delivery), secret })
    }

    /// Returns a verified body without the member that holds the secret. Copies of the secret elsewhere in the body are
    /// replaced by asterisks; all other bytes stay as they are.
    pub fn without_secret(&self, body: &[u8], revealed: &RevealedSecrets) -> Option<Vec<u8>> {
        let position = JsonMember::find(body, &self.path)?.position(body);
        let mut shown = [&body[..position.start], &body[position.end..]].concat();
        revealed.mask(&mut shown);
        Some(shown)
    }

    /// Adds the secret to a body, which must be an object at every part of the path.
    pub fn sign(&self, signed: &mut Signed, now_ms: i64, id: &str) -> Result<(), SignError> {
        let secret = self.secrets.live(now_ms)?;
        let mut body: Value = serde_json::from_slice(&signed.body).map_err(|_| SignError::NotJson)?;
        let mut value = &mut body;
        for part in &self.path {
            let members = match value {
                Value::Array(elements) => {
                    let element = part.parse::<usize>().ok().and_then(|index| elements.get_mut(index));
                    value = element.ok_or(SignError::NotJson)?;
                    continue;
                }
                value => value.as_object_mut().ok_or(SignError::NotJson)?,
            };
            value = members.entry(part).or_insert_with(|| Map::new().into());
        }
        *value = secret.into();
        signed.body = serde_json::to_vec(&body).map_err(|_| SignError::NotJson)?;
        if let Some(name) = &self.id_header {
            signed.headers.insert(name, header_value(id)?);
        }
        Ok(())
    }
}

/// Returns the parts of a [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901); `None` if the text is not one, or
/// points to the whole body.
fn path(pointer: &str) -> Option<Vec<String>> {
    let parts = pointer.strip_prefix('/')?.split('/');
    parts
        .map(|part| {
            let escapes_end = part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
            escapes_end.then(|| part.replace("~1", "/").replace("~0", "~"))
        })
        .collect()
}
