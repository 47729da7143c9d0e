//! Files from the operator's `static_dir`.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rocket::Request;
use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use rocket::tokio::fs::{self, File};

use super::assets::{caching, is_known, with_charset};
use crate::config::Files;

/// An open file, and how it is to be sent.
pub struct DiskFile {
    file: File,
    path: PathBuf,
    length: u64,
    tag: String,
    caching: String,
    x_sendfile: bool,
}

impl DiskFile {
    /// `None` when there is no such file in `static_dir`, or it is a directory, on the other side
    /// of a link, or something stranger.
    pub async fn open(name: &Path, files: &Files) -> Option<Self> {
        let dir = files.dir.as_ref()?;
        let path = dir.join(name);
        // Looked at before it is opened, as opening a pipe waits for a writer.
        if !fs::metadata(&path).await.ok()?.is_file() {
            return None;
        }
        // The directory itself may be a link of the operator's.
        let root = fs::canonicalize(dir).await.ok()?;
        if fs::canonicalize(&path).await.ok()? != root.join(name) {
            return None;
        }
        let file = File::open(&path).await.ok()?;
        let metadata = file.metadata().await.ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Self {
            file,
            path,
            length: metadata.len(),
            tag: format!("\"{:x}-{:x}\"", changed.as_nanos(), metadata.len()),
            caching: caching(files.max_age),
            x_sendfile: files.x_sendfile,
        })
    }
}

impl<'r> Responder<'r, 'static> for DiskFile {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::new();
        let extension = self.path.extension().and_then(|extension| extension.to_str());
        let content_type = extension.and_then(ContentType::from_extension);
        response.set_header(with_charset(content_type.unwrap_or(ContentType::Binary)));
        response.set_header(Header::new("ETag", self.tag.clone()));
        response.set_header(Header::new("Cache-Control", self.caching));
        if is_known(request, &self.tag) {
            response.set_status(Status::NotModified);
        } else if self.x_sendfile {
            let path = std::path::absolute(&self.path).map_err(|_| Status::InternalServerError)?;
            response.set_header(Header::new("X-Sendfile", path.display().to_string()));
        } else {
            response.set_sized_body(usize::try_from(self.length).ok(), self.file);
        }
        Ok(response)
    }
}
