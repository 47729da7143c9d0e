//! Files: the style sheet and the icon from inside the program, and the operator's own.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rocket::http::uri::error::PathError;
use rocket::http::{ContentType, Header, RawStr, Status};
use rocket::response::{self, Responder, Response};
use rocket::{Request, State, get};
use sha2::{Digest, Sha256};

use super::disk::DiskFile;
use crate::config::Live;

struct Asset {
    name: &'static str,
    content_type: ContentType,
    content: &'static str,
    hash: String,
}

static ASSETS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
    let asset = |name, content_type, content: &'static str| Asset {
        name,
        content_type,
        content,
        hash: URL_SAFE_NO_PAD.encode(&Sha256::digest(content)[..9]),
    };
    [
        asset("style.css", ContentType::CSS, include_str!("../../static/style.css")),
        asset("favicon.svg", ContentType::SVG, include_str!("../../static/favicon.svg")),
    ]
});

/// The address of a file: of a built-in one, an address that changes with its content; of one in
/// `static_dir`, its plain address. `None` when there is no such file.
pub fn url(name: &str, dir: Option<&Path>) -> Option<String> {
    if dir.is_some_and(|dir| dir.join(name).is_file()) {
        let segments = name.split('/').map(|name| RawStr::new(name).percent_encode().to_string());
        return Some(format!("/static/{}", segments.collect::<Vec<_>>().join("/")));
    }
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some(format!("/static/{name}?v={}", asset.hash))
}

/// A file of `static_dir`, or else a built-in one.
#[derive(Responder)]
pub enum File {
    OnDisk(DiskFile),
    BuiltIn(BuiltIn),
}

/// One file, without touching the session.
#[get("/static/<path..>?<v>")]
pub async fn file(
    path: Result<PathBuf, PathError>,
    v: Option<&str>,
    config: &State<Live>,
) -> Option<File> {
    let path = path.ok()?;
    let files = config.get().files.clone();
    if let Some(file) = DiskFile::open(&path, &files).await {
        return Some(File::OnDisk(file));
    }
    let asset = ASSETS.iter().find(|asset| Path::new(asset.name) == path)?;
    let caching = match v == Some(&asset.hash) {
        true => "public, max-age=31536000, immutable".into(),
        false => caching(files.max_age),
    };
    Some(File::BuiltIn(BuiltIn { asset, caching }))
}

/// `Cache-Control` of a file whose address does not change with its content, as Flask sets it:
/// browsers ask each time, and mostly hear 304, or keep it for a while.
pub fn caching(max_age: Option<Duration>) -> String {
    match max_age.map(|age| age.as_secs()) {
        None => "no-cache".into(),
        Some(0) => "no-cache, max-age=0".into(),
        Some(seconds) => format!("public, max-age={seconds}"),
    }
}

/// Whether the browser has the file with this `ETag` already.
pub fn is_known(request: &Request<'_>, tag: &str) -> bool {
    let known = request.headers().get("If-None-Match").flat_map(|tags| tags.split(','));
    known
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag)
}

/// The type of a text with the charset that it is in, so that no browser guesses.
pub fn with_charset(kind: ContentType) -> ContentType {
    let is_text =
        kind.top() == "text" || kind.sub() == "xml" || kind.sub().as_str().ends_with("+xml");
    match is_text && kind.param("charset").is_none() {
        // A type of Rocket's own keeps the text that it is shown as, whatever its parameters.
        true => ContentType::new(kind.top().to_string(), kind.sub().to_string())
            .with_params(("charset", "utf-8")),
        false => kind,
    }
}

/// A file from inside the program.
pub struct BuiltIn {
    asset: &'static Asset,
    caching: String,
}

impl<'r> Responder<'r, 'static> for BuiltIn {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let tag = format!("\"{}\"", self.asset.hash);
        let mut response = match is_known(request, &tag) {
            true => Response::build().status(Status::NotModified).finalize(),
            false => self.asset.content.respond_to(request)?,
        };
        response.set_header(with_charset(self.asset.content_type.clone()));
        response.set_header(Header::new("ETag", tag));
        response.set_header(Header::new("Cache-Control", self.caching));
        Ok(response)
    }
}
