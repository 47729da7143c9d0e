//! A form with its size, so that Flask's limits can be held against it.

use std::convert::Infallible;

use rocket::Request;
use rocket::data::{self, Data, FromData};
use rocket::form::error::ErrorKind;
use rocket::form::{DataField, Errors, Form, FromForm, Options, ValueField};
use rocket::http::Status;

use super::errors::{ErrorPage, Strict, bad_form};
use super::gate::let_finish;
use super::templates::Page;
use crate::clients;
use crate::config::Requests;

/// A form, or what is wrong with it, and how much was sent.
pub struct Measured<'r, T> {
    form: Result<T, Errors<'r>>,
    parts: u64,
    longest_text: usize,
}

impl<'r, T> Measured<'r, T> {
    /// The form, when it keeps `MAX_FORM_PARTS` and `MAX_FORM_MEMORY_SIZE`. (Rocket holds the
    /// latter against a whole form that is no multipart form, but not against a field of one.)
    pub fn within(self, limits: &Requests) -> Result<T, BadForm> {
        let too_long = self.longest_text as u64 > limits.max_form_memory_size;
        if self.parts > limits.max_form_parts || too_long {
            return Err(BadForm { status: Status::PayloadTooLarge, fields: Vec::new() });
        }
        self.form.map_err(BadForm::from)
    }
}

/// What was sent in a form, or the page that refuses it.
pub fn read<'r, T: FromForm<'r>>(
    sent: Arrived<Result<Form<Measured<'r, T>>, Errors<'r>>>,
    limits: &Requests,
) -> Result<T, (Status, Strict<Page<ErrorPage>>)> {
    let form = match sent.0.map(Form::into_inner) {
        Ok(measured) => measured.within(limits),
        Err(errors) => Err(errors.into()),
    };
    form.map_err(|bad| bad_form(bad, limits))
}

/// What is read from a request's body. To wait for it is waiting for the client, and what comes after
/// is not.
pub struct Arrived<T>(pub T);

#[rocket::async_trait]
impl<'r, T: FromData<'r>> FromData<'r> for Arrived<T> {
    type Error = T::Error;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let outcome = T::from_data(request, data).await;
        clients::arrived(request);
        outcome.map(Self)
    }
}

/// A form with nothing in it but its token.
#[derive(FromForm)]
struct TokenAlone<'r> {
    csrf_token: Vec<&'r str>,
}

/// The tokens of a body that may have been sent without any, or may be no form; 413 where it is too
/// large.
pub struct Tokens<'r>(pub Result<Vec<&'r str>, Status>);

#[rocket::async_trait]
impl<'r> FromData<'r> for Tokens<'r> {
    type Error = Infallible;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> data::Outcome<'r, Self> {
        let read = Result::<Form<TokenAlone<'r>>, Errors<'r>>::from_data(request, data).await;
        let tokens = match read {
            data::Outcome::Success(Ok(form)) => Ok(form.into_inner().csrf_token),
            data::Outcome::Success(Err(errors)) => match BadForm::from(errors).status {
                Status::PayloadTooLarge => Err(Status::PayloadTooLarge),
                _ => Ok(Vec::new()),
            },
            data::Outcome::Error((status, _)) => Err(status),
            data::Outcome::Forward((data, _)) => {
                let_finish(request, data).await;
                Ok(Vec::new())
            }
        };
        data::Outcome::Success(Self(tokens))
    }
}

/// Why a form is not taken.
#[derive(Debug)]
pub struct BadForm {
    /// What to answer.
    pub status: Status,
    /// The fields that are missing or wrong.
    pub fields: Vec<String>,
}

impl From<Errors<'_>> for BadForm {
    fn from(errors: Errors<'_>) -> Self {
        let too_large =
            |kind: &ErrorKind<'_>| matches!(kind, ErrorKind::InvalidLength { max: Some(_), .. });
        let status = match errors.iter().any(|error| too_large(&error.kind)) {
            true => Status::PayloadTooLarge,
            false => Status::UnprocessableEntity,
        };
        let name = |error: &rocket::form::Error<'_>| Some(error.name.as_ref()?.to_string());
        Self { status, fields: errors.iter().filter_map(name).collect() }
    }
}

pub struct Measuring<'r, T: FromForm<'r>> {
    inner: T::Context,
    parts: u64,
    longest_text: usize,
}

#[rocket::async_trait]
impl<'r, T: FromForm<'r>> FromForm<'r> for Measured<'r, T> {
    type Context = Measuring<'r, T>;

    fn init(options: Options) -> Self::Context {
        Measuring { inner: T::init(options), parts: 0, longest_text: 0 }
    }

    fn push_value(context: &mut Self::Context, field: ValueField<'r>) {
        context.parts += 1;
        context.longest_text = context.longest_text.max(field.value.len());
        T::push_value(&mut context.inner, field);
    }

    async fn push_data(context: &mut Self::Context, field: DataField<'r, '_>) {
        context.parts += 1;
        T::push_data(&mut context.inner, field).await;
    }

    fn push_error(context: &mut Self::Context, error: rocket::form::Error<'r>) {
        T::push_error(&mut context.inner, error);
    }

    fn finalize(context: Self::Context) -> rocket::form::Result<'r, Self> {
        let Measuring { inner, parts, longest_text } = context;
        Ok(Self { form: T::finalize(inner), parts, longest_text })
    }
}
