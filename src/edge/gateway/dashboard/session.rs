//! Signing in and out, and who is signed in.

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, Response};

use super::{MAX_FORM_BYTES, respond, templates};
use crate::config::resolved::Millis;
use crate::core::gateway::dashboard::Form;
use crate::core::gateway::dashboard::page::destination;
use crate::core::gateway::dashboard::session::{Channel, LIFETIME, Session, is_same_origin, origin, signature_matches};
use crate::core::gateway::{Target, bearer, token_matches};
use crate::edge::gateway::body;
use crate::edge::js;

#[wasm_bindgen(module = "/src/edge/gateway/dashboard/sign.mjs")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn sign(key: &str, text: &str) -> Result<Promise, JsValue>;
}

/// The longest form with a token, in bytes.
const MAX_SIGN_IN_BYTES: usize = 8 * 1024;

/// Somebody who may see pages.
pub struct Visitor {
    /// What every form of a page has to carry.
    pub form_token: String,
}

/// Why a form is not heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormProblem {
    /// It is not of this origin, or of another session.
    Foreign,
    /// It is too long.
    TooLarge,
    /// It cannot be read.
    Unreadable,
}

impl FormProblem {
    /// The status to answer with.
    pub const fn status(self) -> u16 {
        match self {
            Self::Foreign => 403,
            Self::TooLarge => 413,
            Self::Unreadable => 400,
        }
    }

    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => {
                "Nothing was done: the form is not from your session. Go back, reload the page and try again."
            }
            Self::TooLarge => "Nothing was done: the form is too long.",
            Self::Unreadable => "Nothing was done: the form could not be read.",
        }
    }
}

impl Visitor {
    /// Whoever sent the request, if they may see pages: by the cookie, or (for programs, and without forms) by the token itself.
    pub async fn of(request: &Request, token: &str) -> Result<Option<Self>, JsValue> {
        if let Some(session) = session(request, token).await? {
            return Ok(Some(Self { form_token: signature(token, &session.form_claim()).await? }));
        }
        let given = request.headers().get("authorization")?.unwrap_or_default();
        let is_bearer = bearer(&given).is_some_and(|given| token_matches(given, token));
        Ok(is_bearer.then(|| Self { form_token: String::new() }))
    }

    /// The form in a request, if it is from a page of this visitor's.
    pub async fn form(&self, request: &Request) -> Result<Result<Form, FormProblem>, JsValue> {
        if !is_own(request)? {
            return Ok(Err(FormProblem::Foreign));
        }
        let form = match body::text(request, MAX_FORM_BYTES).await {
            Ok(body) => Form::parse(&body),
            Err(body::BodyError::TooLarge) => return Ok(Err(FormProblem::TooLarge)),
            Err(_) => return Ok(Err(FormProblem::Unreadable)),
        };
        // No form token is empty but that of whoever has no session.
        let matches = signature_matches(form.field("csrf"), &self.form_token);
        Ok(if matches { Ok(form) } else { Err(FormProblem::Foreign) })
    }
}

/// Whether a request that changes nothing bears the cookie of somebody who has signed in.
pub async fn is_signed_in(request: &Request, token: &str) -> Result<bool, JsValue> {
    let is_reading = ["GET", "HEAD"].contains(&request.method().as_str());
    Ok(is_reading && session(request, token).await?.is_some())
}

async fn session(request: &Request, token: &str) -> Result<Option<Session>, JsValue> {
    let Some(cookies) = request.headers().get("cookie")? else { return Ok(None) };
    let Some((session, given)) = Session::read(&cookies, channel(request), js::now()) else { return Ok(None) };
    let expected = signature(token, &session.claim()).await?;
    Ok(signature_matches(given, &expected).then_some(session))
}

async fn signature(token: &str, claim: &str) -> Result<String, JsValue> {
    let signature = JsFuture::from(sign(token, claim)?).await?;
    // An empty one would be matched by that of a cookie without any.
    signature.as_string().filter(|signature| !signature.is_empty()).ok_or_else(|| js::js_error("nothing was signed"))
}

fn channel(request: &Request) -> Channel {
    let url = request.url();
    Target::parse(&url).map_or(Channel::Open, |target| Channel::of(&url, target.host()))
}

/// Whether a form was sent by a page of this origin.
fn is_own(request: &Request) -> Result<bool, JsValue> {
    let headers = request.headers();
    let (site, from) = (headers.get("sec-fetch-site")?, headers.get("origin")?);
    Ok(is_same_origin(origin(&request.url()), site.as_deref(), from.as_deref()))
}

/// The form for the token.
pub async fn form(request: &Request, token: &str) -> Result<Response, JsValue> {
    if session(request, token).await?.is_some() {
        return respond::see_other("/_warm/", None);
    }
    let problem = (channel(request) == Channel::Open).then_some(ONLY_HTTPS);
    respond::page(200, templates::signing::form("/_warm/", problem))
}

/// What whoever has not signed in gets for a page.
pub fn refuse(request: &Request) -> Result<Response, JsValue> {
    let url = request.url();
    let path = Target::parse(&url).map_or("", |target| target.path());
    respond::page(401, templates::signing::form(destination(path), None))
}

/// Signs in whoever sends the token.
pub async fn sign_in(request: &Request, token: &str) -> Result<Response, JsValue> {
    let channel = channel(request);
    if channel == Channel::Open {
        return respond::page(403, templates::signing::form("/_warm/", Some(ONLY_HTTPS)));
    }
    let form = Form::parse(&body::text(request, MAX_SIGN_IN_BYTES).await.unwrap_or_default());
    let next = destination(form.field("next"));
    if !is_own(request)? || !token_matches(form.field("token"), token) {
        return respond::page(401, templates::signing::form(next, Some("That did not work. Is it the admin token?")));
    }
    let session = Session::begin(js::now(), uuid::Uuid::new_v4().simple().to_string());
    let cookie = session.cookie(&signature(token, &session.claim()).await?);
    respond::see_other(next, Some(&channel.set_cookie(&cookie, LIFETIME)))
}

const ONLY_HTTPS: &str = "Nobody signs in over plain HTTP, but on the machine itself: use HTTPS.";

/// Takes the cookie away.
pub fn sign_out(request: &Request) -> Result<Response, JsValue> {
    respond::see_other("/_warm/login", Some(&channel(request).set_cookie("", Millis(0))))
}
