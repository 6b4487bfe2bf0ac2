//! The sidecar of a local container: a stand-in for `cloudflare/proxy-everything`.
//!
//! Local workerd puts a sidecar into the network of each container and reaches the container's ports through it. The
//! published image also intercepts what the container sends out; this one does not, so `interceptOutboundHttp` has no
//! effect with it. In return it needs no registry: it is built here, `FROM scratch`.
//!
//! It listens on port 39001 and speaks what workerd asks of it:
//!
//! | request | answer |
//! |---|---|
//! | `PUT /egress` | 200; the settings for interception are read and dropped |
//! | `GET /ca` | 200 and a PEM; the certificate of the interception, empty here |
//! | `CONNECT`, header `X-Dst-Addr: 127.0.0.1:<port>` | 200 and a tunnel to that port, or 400 when nothing listens there |

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const PORT: u16 = 39001;
/// A head that is longer than this is not from workerd.
const MAX_HEAD_BYTES: u64 = 64 * 1024;
/// How long a connection may take to send its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const EMPTY_PEM: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the sidecar cannot serve port {PORT}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM, which the first process of a container has to ask for.
fn run() -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)))?;
    thread::spawn(move || {
        for connection in listener.incoming() {
            match connection {
                Ok(connection) => drop(thread::spawn(move || {
                    if let Err(error) = answer(connection) {
                        eprintln!("a connection failed: {error}");
                    }
                })),
                // Out of file descriptors, most likely: wait for some to come back.
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    });
    signals.forever().next();
    Ok(())
}

struct Head {
    method: String,
    path: String,
    destination: Option<String>,
    content_length: u64,
}

fn answer(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HEAD_TIMEOUT))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_head(&mut reader)? {
        if head.method == "CONNECT" {
            return tunnel(head.destination.as_deref().unwrap_or_default(), reader, writer);
        }
        io::copy(&mut reader.by_ref().take(head.content_length), &mut io::sink())?;
        let body = if head.path == "/ca" { EMPTY_PEM } else { "" };
        write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}

/// The next request's head; `None` when the connection has ended.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
    let mut limited = reader.take(MAX_HEAD_BYTES);
    let mut line = String::new();
    if limited.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut head = Head {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        destination: None,
        content_length: 0,
    };
    loop {
        line.clear();
        if limited.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the head of a request was cut off"));
        }
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Some(head));
        };
        if name.eq_ignore_ascii_case("x-dst-addr") {
            head.destination = Some(value.trim().to_owned());
        } else if name.eq_ignore_ascii_case("content-length") {
            head.content_length =
                value.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

fn tunnel(destination: &str, mut reader: BufReader<TcpStream>, mut writer: TcpStream) -> io::Result<()> {
    let container = match TcpStream::connect(destination) {
        Ok(container) => container,
        Err(error) => {
            let body = format!("cannot reach {destination:?} in the container: {error}");
            return write!(
                writer,
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    };
    container.set_nodelay(true)?;
    reader.get_ref().set_read_timeout(None)?;
    writer.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;

    let mut from_container = container.try_clone()?;
    let answers = thread::spawn(move || pump(&mut from_container, &mut writer));
    let mut to_container = container;
    // Through the reader, which may hold bytes that came right behind the head.
    let sent = pump(&mut reader, &mut to_container);
    let answered = answers.join().unwrap_or_else(|_| Err(io::Error::other("the answering thread ended early")));
    sent.and(answered)
}

/// Copies until the source ends, then ends the destination's side too, so that half-closed connections work.
fn pump(source: &mut impl Read, destination: &mut TcpStream) -> io::Result<()> {
    let copied = io::copy(source, destination).map(drop);
    match destination.shutdown(Shutdown::Write) {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => copied.and(Err(error)),
        Ok(()) | Err(_) => copied,
    }
}
