//! The style sheet and the icon, from inside the program.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use rocket::{Request, get};
use sha2::{Digest, Sha256};

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

/// The address of a file, which changes with its content.
pub fn url(name: &str) -> Option<String> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some(format!("/static/{name}?v={}", asset.hash))
}

pub struct File {
    asset: &'static Asset,
    current: bool,
}

/// With the current hash in its address a file is kept for a year; without, it is asked for again
/// each time and mostly answered with 304.
#[get("/static/<name>?<v>")]
pub fn file(name: &str, v: Option<&str>) -> Option<File> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some(File { asset, current: v == Some(&asset.hash) })
}

impl<'r> Responder<'r, 'static> for File {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let tag = format!("\"{}\"", self.asset.hash);
        let known =
            request.headers().get("If-None-Match").flat_map(|tags| tags.split(',')).any(|known| {
                matches!(known.trim().trim_start_matches("W/"), "*")
                    || known.trim().trim_start_matches("W/") == tag
            });
        let mut response = match known {
            true => Response::build().status(Status::NotModified).finalize(),
            false => self.asset.content.respond_to(request)?,
        };
        response.set_header(self.asset.content_type.clone());
        response.set_header(Header::new("ETag", tag));
        let caching = match self.current {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        response.set_header(Header::new("Cache-Control", caching));
        Ok(response)
    }
}
