//! The way of a WebSocket: messages are passed on in both directions, so that its end is seen. A socket that was passed through
//! whole would cost nothing, but nobody could tell an open one from one that closed, nor keep the container awake for it.

use std::ops::ControlFlow;

use futures::StreamExt;
use futures::future::{Either, select};
use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Response, ResponseInit};
use worker::{WebSocket, WebSocketPair, WebsocketEvent};

use super::super::js;
use super::serve::Traffic;

/// A response with a new socket for the client, which is relayed to the container's.
pub fn relay(traffic: Traffic, response: &Response, container: web_sys::WebSocket) -> Result<Response, JsValue> {
    let WebSocketPair { client, server } = WebSocketPair::new().map_err(JsValue::from)?;
    let init = Object::new();
    Reflect::set(&init, &"status".into(), &response.status().into())?;
    // The chosen subprotocol is among them.
    Reflect::set(&init, &"headers".into(), &response.headers())?;
    Reflect::set(&init, &"webSocket".into(), client.as_ref())?;
    let relayed = Response::new_with_opt_str_and_init(None, init.unchecked_ref::<ResponseInit>())?;
    let driver = std::rc::Rc::clone(&traffic.driver);
    driver.spawn(async move {
        if let Err(error) = pass_on_both(&WebSocket::from(container), &server).await {
            tracing::warn!(%error, "a WebSocket could not be relayed");
            server.close(Some(INTERNAL_ERROR), Some("the container could not be reached")).ok();
        }
        drop(traffic);
    });
    Ok(relayed)
}

async fn pass_on_both(container: &WebSocket, client: &WebSocket) -> worker::Result<()> {
    // Listening begins before accepting, so that no message is missed.
    let mut from_container = container.events()?;
    let mut from_client = client.events()?;
    for socket in [container, client] {
        // The default is `Blob` for newer compatibility dates, which cannot be sent on.
        Reflect::set(socket.as_ref(), &"binaryType".into(), &"arraybuffer".into())?;
        socket.accept()?;
    }
    loop {
        let flow = match select(from_container.next(), from_client.next()).await {
            Either::Left((event, _)) => pass_on(event, container, client),
            Either::Right((event, _)) => pass_on(event, client, container),
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

fn pass_on(event: Option<worker::Result<WebsocketEvent>>, from: &WebSocket, to: &WebSocket) -> ControlFlow<()> {
    match event {
        Some(Ok(WebsocketEvent::Message(message))) => {
            let sink: &JsValue = to.as_ref();
            match sink.unchecked_ref::<Sink>().send(&message.as_ref().data()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    tracing::debug!(error = js::error_text(&error), "a WebSocket message had nowhere to go");
                    close(from, GOING_AWAY, "the other side is gone");
                    ControlFlow::Break(())
                }
            }
        }
        Some(Ok(WebsocketEvent::Close(event))) => {
            close(to, event.code(), &event.reason());
            close(from, event.code(), &event.reason());
            ControlFlow::Break(())
        }
        Some(Err(_)) | None => {
            close(to, INTERNAL_ERROR, "the other side was lost");
            close(from, INTERNAL_ERROR, "the connection was lost");
            ControlFlow::Break(())
        }
    }
}

/// Closes a socket the way another was closed. Codes that only say how it ended may not be sent: those become what they mean.
fn close(socket: &WebSocket, code: u16, reason: &str) {
    let closed = match code {
        NO_STATUS => socket.close(None, None::<&str>),
        ABNORMAL => socket.close(Some(INTERNAL_ERROR), Some("the other side was lost")),
        code => socket.close(Some(code), Some(reason)),
    };
    // It may be closed already.
    closed.ok();
}

#[wasm_bindgen]
extern "C" {
    type Sink;

    #[wasm_bindgen(method, catch)]
    fn send(this: &Sink, data: &JsValue) -> Result<(), JsValue>;
}

const GOING_AWAY: u16 = 1001;
const NO_STATUS: u16 = 1005;
const ABNORMAL: u16 = 1006;
const INTERNAL_ERROR: u16 = 1011;
