//! The indexes that the collection needs, made where they are missing.

use std::time::Duration;

use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};
use rocket::futures::TryStreamExt;

use super::error::Failure;

/// Makes what is missing, and answers whether an index lets no two documents have the same `id`.
/// Where an index cannot be made a line is logged, and the store does without it.
pub async fn make(sessions: &Collection<RawDocumentBuf>) -> Result<bool, Failure> {
    let present = list(sessions).await?;
    expiration(sessions, &present).await?;
    let by_id = doc! { "id": 1 };
    if let Some(index) = present.iter().find(|index| index.keys == by_id) {
        let unique = index.options.as_ref().and_then(|options| options.unique) == Some(true);
        if !unique {
            log::warn!(
                "MongoDB's index on id is not unique. To let nothing have an id twice, remove the \
                 documents that do, drop that index and start again."
            );
        }
        return Ok(unique);
    }
    let unique = IndexOptions::builder().name("dewar_id_unique".to_owned()).unique(true).build();
    let refusal = match create(sessions, "id", unique).await? {
        Ok(()) => return Ok(true),
        Err(refusal) => refusal,
    };
    let plain = IndexOptions::builder().name("dewar_id".to_owned()).build();
    let instead = match create(sessions, "id", plain).await? {
        Ok(()) => {
            "One that is not was made. Remove the documents that have an id twice, drop the \
                   index dewar_id and start again."
        }
        Err(_) => "None was made, so a session is found by looking at all of them.",
    };
    log::warn!("MongoDB makes no unique index on id: {refusal}. {instead}");
    Ok(false)
}

/// The index by which MongoDB removes expired documents, as Flask-Session makes it.
async fn expiration(
    sessions: &Collection<RawDocumentBuf>,
    present: &[IndexModel],
) -> Result<(), Failure> {
    let expire_at = |index: &IndexModel| {
        let options = index.options.as_ref()?;
        (options.name.as_deref() == Some("expiration_1")).then_some(options.expire_after)
    };
    let refusal = match present.iter().find_map(expire_at) {
        Some(Some(Duration::ZERO)) => return Ok(()),
        Some(_) => "it exists with other options".to_owned(),
        None => {
            let options = IndexOptions::builder().name("expiration_1".to_owned());
            match create(sessions, "expiration", options.expire_after(Duration::ZERO).build())
                .await?
            {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal.to_string(),
            }
        }
    };
    log::warn!(
        "MongoDB has no index expiration_1 that removes expired sessions at once: {refusal}. \
         They count as absent all the same, and dewar removes them."
    );
    Ok(())
}

async fn list(sessions: &Collection<RawDocumentBuf>) -> Result<Vec<IndexModel>, Failure> {
    let listed = async { sessions.list_indexes().await?.try_collect().await };
    match listed.await.map_err(Failure::from) {
        // There is no collection yet, or the user may not list: to make them is tried.
        Err(refusal) if refusal.is_about_indexes() => Ok(Vec::new()),
        listed => listed,
    }
}

/// Makes an index; the inner error is the server's refusal.
async fn create(
    sessions: &Collection<RawDocumentBuf>,
    field: &str,
    options: IndexOptions,
) -> Result<Result<(), Failure>, Failure> {
    let index = IndexModel::builder().keys(doc! { field: 1 }).options(options).build();
    match sessions.create_index(index).await.map_err(Failure::from) {
        Ok(_) => Ok(Ok(())),
        Err(refusal) if refusal.is_about_indexes() => Ok(Err(refusal)),
        Err(failure) => Err(failure),
    }
}
