//! Whoever asks for the numbers by HTTP is answered, several at once: one who asks slowly or does not listen keeps nobody
//! else waiting.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Clients that are answered at once; further ones wait in the system's queue.
const MAX_CLIENTS: usize = 8;
/// Whoever asks has this much time to ask and to listen, however it is spread: so long at most waits a client behind
/// [`MAX_CLIENTS`] that dawdle.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request is not longer.
const MAX_REQUEST: usize = 4096;
/// Answers are made of short strings, on the heap.
const STACK: usize = 256 << 10;
/// Before another try where the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// What is told to whoever asks.
type Numbers = Arc<dyn Fn() -> String + Send + Sync>;

/// Begins to answer, on threads of its own.
///
/// # Errors
/// When they cannot be started.
pub(super) fn serve(listener: &TcpListener, numbers: Numbers) -> io::Result<()> {
    serve_with(listener, PATIENCE, numbers)
}

fn serve_with(listener: &TcpListener, patience: Duration, numbers: Numbers) -> io::Result<()> {
    for _ in 0..MAX_CLIENTS {
        let (listener, numbers) = (listener.try_clone()?, Arc::clone(&numbers));
        let work = move || {
            loop {
                match listener.accept() {
                    // Whoever asks and does not listen harms nobody but himself.
                    Ok((stream, _)) => drop(answer(Client::new(stream, patience), &*numbers)),
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        };
        let worker = thread::Builder::new().name("metrics".to_owned()).stack_size(STACK);
        worker.spawn(work)?;
    }
    Ok(())
}

fn answer(mut client: Client, numbers: &dyn Fn() -> String) -> io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 512];
    while request.len() < MAX_REQUEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut piece)? {
            0 => break,
            count => request.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    let (status, body) = if is_for_numbers(&request) {
        ("200 OK", numbers())
    } else {
        ("404 Not Found", "the numbers are at /metrics\n".to_owned())
    };
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Whether a request asks for `/metrics`, with or without a query.
fn is_for_numbers(request: &[u8]) -> bool {
    let rest = request.strip_prefix(b"GET /metrics");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'?' | b'\r')))
}

/// A connection with a time by which it is over.
struct Client {
    stream: TcpStream,
    end: Instant,
}

impl Client {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        let end = Instant::now() + patience;
        Self { stream, end }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Client {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(space)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// Longer than any test may take.
    const LONG: Duration = Duration::from_hours(1);

    fn server(patience: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        serve_with(&listener, patience, Arc::new(|| "one 1\n".to_owned())).expect("threads");
        listener.local_addr().expect("an address")
    }

    /// A client; that it is never answered is a failure, not a test without an end.
    fn client(server: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(server).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time");
        stream
    }

    fn ask(stream: &mut TcpStream, request: &str) -> String {
        let mut told = String::new();
        stream.write_all(request.as_bytes()).expect("written");
        stream.read_to_string(&mut told).expect("an answer");
        told
    }

    #[test]
    fn clients_that_dawdle_keep_nobody_waiting() {
        let server = server(LONG);
        let mut slow: Vec<TcpStream> = (1..MAX_CLIENTS).map(|_| client(server)).collect();
        for stream in &mut slow {
            stream.write_all(b"GET /met").expect("written");
        }
        for _ in 0..3 {
            let told = ask(&mut client(server), "GET /metrics HTTP/1.1\r\n\r\n");
            assert!(told.ends_with("\r\n\r\none 1\n"), "{told}");
        }
        let told = ask(&mut slow[0], "rics HTTP/1.1\r\n\r\n");
        assert!(told.ends_with("one 1\n"), "and are answered in the end: {told}");
    }

    #[test]
    fn one_more_than_are_answered_at_once_is_answered_when_another_leaves() {
        let server = server(LONG);
        let slow: Vec<TcpStream> = (0..MAX_CLIENTS).map(|_| client(server)).collect();
        let mut late = client(server);
        late.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("written");
        drop(slow);
        let mut told = String::new();
        late.read_to_string(&mut told).expect("an answer");
        assert!(told.starts_with("HTTP/1.1 200 OK"), "{told}");
    }

    #[test]
    fn whoever_takes_longer_than_may_be_is_let_go() {
        let mut told = Vec::new();
        // That the connection was reset says the same as its end.
        let _ = client(server(Duration::ZERO)).read_to_end(&mut told);
        assert_eq!(told, b"");
    }

    #[test]
    fn only_the_numbers_are_at_their_address() {
        let server = server(LONG);
        let ask = |request: &str| ask(&mut client(server), request);
        assert!(ask("GET /metrics?x=1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK"));
        for request in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET /metricsx HTTP/1.1\r\n\r\n",
            "POST /metrics HTTP/1.1\r\n\r\n",
        ] {
            assert!(ask(request).starts_with("HTTP/1.1 404 Not Found"), "{request}");
        }
    }
}
