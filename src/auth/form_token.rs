//! The token in a signed-in visitor's forms, for clients that do not say where a request comes
//! from: only a page of this session knows it.
//!
//! What the session holds is the secret; a form carries a code made from it, so that a cookie or a
//! record that holds the session does not show the token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rocket::Request;
use rocket::http::Status;
use sha2::Sha256;

use super::client::Client;
use super::origin::Source;
use crate::session::{Error, Session, SessionId};

/// The name of the field, and of the session's key. Flask-WTF keeps its secret under the same key,
/// and takes this one for its own where it shares the session.
const NAME: &str = "csrf_token";

/// The secret of the session in which somebody was found signed in.
struct Secret(Option<String>);

/// The token made from it, once a page shows it.
struct Shown(Option<String>);

/// Gives the session a secret of its own: 256 random bits.
///
/// # Errors
/// [`Error::Random`] when the operating system has none.
pub(super) fn draw(session: &Session) -> Result<(), Error> {
    session.insert(NAME, &SessionId::generate(32)?.expose())
}

/// Lets the pages of this request show the session's token.
pub(super) fn show(request: &Request<'_>, session: &Session) {
    request.local_cache(|| Secret(secret(session)));
}

/// The token for the forms of a page, where somebody is signed in. (A session from before there
/// were tokens has none; a browser that says where a request comes from needs none.)
pub fn shown<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let Secret(secret) = request.local_cache(|| Secret(None));
    let token = || Shown(secret.as_deref().and_then(code).map(|code| encode(&code)));
    request.local_cache(token).0.as_deref()
}

/// Takes a form that comes from a page of this site: by its one token, and where it has none by what
/// the browser says. A wrong token is refused whatever the browser says.
///
/// # Errors
/// 403, which is logged, for any other form.
pub fn demand(
    source: Source,
    session: &Session,
    sent: &[&str],
    client: Client<'_>,
) -> Result<(), Status> {
    if vouches(source, session, sent) {
        return Ok(());
    }
    log::warn!(
        event = "refused_form", client = client.shown().as_deref(), request_id = client.request_id;
        "refused a form that no page of this site sent, from {client}"
    );
    Err(Status::Forbidden)
}

fn vouches(source: Source, session: &Session, sent: &[&str]) -> bool {
    match sent {
        [] => source == Source::Own,
        [token] => is_right(session, token),
        _ => false,
    }
}

/// Whether `sent` is the session's token; compared in constant time.
fn is_right(session: &Session, sent: &str) -> bool {
    let Ok(sent) = URL_SAFE_NO_PAD.decode(sent) else { return false };
    secret(session).as_deref().and_then(code).is_some_and(|code| code.verify_slice(&sent).is_ok())
}

fn secret(session: &Session) -> Option<String> {
    session.get(NAME).ok().flatten()
}

fn code(secret: &str) -> Option<Hmac<Sha256>> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    code.update(b"dewar form");
    Some(code)
}

fn encode(code: &Hmac<Sha256>) -> String {
    URL_SAFE_NO_PAD.encode(code.clone().finalize().into_bytes())
}
