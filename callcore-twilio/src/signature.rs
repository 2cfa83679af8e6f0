//! Who sent a webhook: Twilio's request signatures.
//!
//! `X-Twilio-Signature` is base64 of HMAC-SHA1 under the account's primary auth token, over the URL
//! that Twilio called and, of a form, its sorted fields
//! (<https://www.twilio.com/docs/usage/security>). The URL is made from the configured public
//! address, never from `Host` or `X-Forwarded-*`, which anybody can send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

/// The auth tokens a signature may be made with: one, and a second during a rotation.
#[derive(Debug, Clone)]
pub struct Signer {
    tokens: Vec<SecretString>,
}

/// A request as it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The URL that Twilio was given: the public address with the path and query as they came.
    pub url: &'a str,
    /// Whether the method is GET: then the URL carries every field.
    pub is_get: bool,
    /// The `Content-Type` header.
    pub content_type: &'a str,
    /// The body as it came.
    pub body: &'a [u8],
}

impl Signer {
    /// A signer that takes signatures made with any of these tokens.
    #[must_use]
    pub fn new(tokens: impl IntoIterator<Item = SecretString>) -> Self {
        Self { tokens: tokens.into_iter().collect() }
    }

    /// Whether a signature is the request's. Every token and form of the URL is tried, so that the
    /// time it takes tells nothing.
    #[must_use]
    pub fn verify(&self, request: Signed<'_>, signature: &str) -> bool {
        let Some(fields) = signed_fields(&request) else { return false };
        let mut good = subtle::Choice::from(0);
        for token in &self.tokens {
            for url in url_forms(request.url) {
                let expected = sign(token, &url, &fields);
                good |= expected.as_bytes().ct_eq(signature.as_bytes());
            }
        }
        good.into()
    }

    /// The signature of a request under the first token: what a fake of Twilio sends.
    #[must_use]
    pub fn sign(&self, request: Signed<'_>) -> Option<String> {
        Some(sign(self.tokens.first()?, request.url, &signed_fields(&request)?))
    }
}

/// What is signed beside the URL; none if a JSON body is not the one its URL vouches for.
fn signed_fields(request: &Signed<'_>) -> Option<String> {
    if request.is_get {
        return Some(String::new());
    }
    let is_form = request.content_type.starts_with("application/x-www-form-urlencoded");
    if is_form || request.body.is_empty() {
        return Some(form_fields(request.body));
    }
    // Any other body is only proven by its hash in the signed URL.
    let url = Url::parse(request.url).ok()?;
    let (_, hash) = url.query_pairs().find(|(name, _)| name == "bodySHA256")?;
    let expected: String =
        Sha256::digest(request.body).iter().map(|byte| format!("{byte:02x}")).collect();
    bool::from(expected.as_bytes().ct_eq(hash.as_bytes())).then(String::new)
}

/// Names and values without delimiters, sorted; equal pairs count once.
fn form_fields(body: &[u8]) -> String {
    let mut fields: Vec<_> = form_urlencoded::parse(body).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}

fn sign(token: &SecretString, url: &str, fields: &str) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(token.expose_secret().as_bytes());
    // HMAC takes keys of every length.
    let Ok(mut mac) = mac else { return String::new() };
    mac.update(url.as_bytes());
    mac.update(fields.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The URL as it is, and with and without its port: Twilio signs HTTPS calls without one.
fn url_forms(url: &str) -> Vec<String> {
    let mut forms = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return forms };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // An IPv6 address has colons of its own, inside brackets.
    let port_at = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
    let host = port_at.map_or(authority, |colon| &authority[..colon]);
    let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    forms.push(format!("{scheme}://{host}{tail}"));
    if port_at.is_none() {
        forms.push(format!("{scheme}://{host}:{default}{tail}"));
    } else {
        forms.push(format!("{scheme}://{authority}{tail}"));
    }
    forms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

    fn signer(tokens: &[&str]) -> Signer {
        Signer::new(tokens.iter().map(|token| SecretString::from((*token).to_owned())))
    }

    fn form<'a>(url: &'a str, body: &'a str) -> Signed<'a> {
        Signed { url, is_get: false, content_type: FORM, body: body.as_bytes() }
    }

    #[test]
    fn the_published_vector_holds() {
        let body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&From=%2B14158675310\
                    &Digits=1234&To=%2B18005551212";
        let request = form("https://example.com/myapp.php?foo=1&bar=2", body);
        assert_eq!(signer(&["12345"]).sign(request).unwrap(), "L/OH5YylLD5NRKLltdqwSvS0BnU=");
        assert!(signer(&["12345"]).verify(request, "L/OH5YylLD5NRKLltdqwSvS0BnU="));
    }

    #[test]
    fn two_tokens_are_good_during_a_rotation_and_a_third_is_not() {
        let request = form("https://example.com/x", "A=1");
        let both = signer(&["old", "new"]);
        for token in ["old", "new"] {
            assert!(both.verify(request, &signer(&[token]).sign(request).unwrap()));
        }
        assert!(!both.verify(request, &signer(&["other"]).sign(request).unwrap()));
        assert!(!both.verify(request, ""));
        assert!(!signer(&[]).verify(request, ""));
    }

    #[test]
    fn any_change_of_url_or_field_breaks_it() {
        let signer = signer(&["12345"]);
        let good = signer.sign(form("https://example.com/x?a=1", "B=2&C=3")).unwrap();
        for (url, body) in [
            ("https://example.com/x?a=2", "B=2&C=3"),
            ("https://example.com/y?a=1", "B=2&C=3"),
            ("http://example.com/x?a=1", "B=2&C=3"),
            ("https://example.org/x?a=1", "B=2&C=3"),
            ("https://example.com/x?a=1", "B=2&C=4"),
            ("https://example.com/x?a=1", "B=2"),
            ("https://example.com/x?a=1", "B=2&C=3&D="),
        ] {
            assert!(!signer.verify(form(url, body), &good), "{url} {body}");
        }
        assert!(signer.verify(form("https://example.com/x?a=1", "C=3&B=2&B=2"), &good));
    }

    #[test]
    fn the_port_does_not_matter() {
        let signer = signer(&["12345"]);
        for (called, configured) in [
            ("https://example.com/x", "https://example.com:8443/x"),
            ("https://example.com:443/x", "https://example.com/x"),
            ("http://[::1]:80/x", "http://[::1]/x"),
            ("https://example.com/x", "https://user:secret@example.com/x"),
        ] {
            let good = signer.sign(form(called, "A=1")).unwrap();
            assert!(signer.verify(form(configured, "A=1"), &good), "{called} {configured}");
        }
    }

    #[test]
    fn a_json_body_is_proven_by_its_hash_and_not_without() {
        let signer = signer(&["12345"]);
        let (content_type, body) = ("application/json", br#"{"a":1}"#.as_slice());
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        let url = format!("https://example.com/x?bodySHA256={hash}");
        let request = Signed { url: &url, is_get: false, content_type, body };
        let good = signer.sign(request).unwrap();
        assert!(signer.verify(request, &good));
        assert!(!signer.verify(Signed { body: br#"{"a":2}"#, ..request }, &good));
        let bare = Signed { url: "https://example.com/x", ..request };
        let of_url = sign(&signer.tokens[0], bare.url, "");
        assert!(!signer.verify(bare, &of_url));
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(
            url in ".*", is_get: bool, content_type in ".*", body: Vec<u8>, signature in ".*",
        ) {
            let request = Signed { url: &url, is_get, content_type: &content_type, body: &body };
            prop_assert!(!signer(&["12345"]).verify(request, &signature));
        }
    }
}
